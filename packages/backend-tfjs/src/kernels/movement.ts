import { sizeOf } from "@striate/core/backend";
import type { Bridge, Info, Optional, Required } from "../bridge.js";
import { imageShape, type View } from "../storage.js";
import { asIntegers, moving, toBool } from "./bool.js";

/** Kernels for GPUs stop at some rank: above this one, moves go axis by axis. */
const MAX_RANK = 4;

/** An axis in the middle of all that comes before and all that comes after it. */
type Middle = [outer: number, n: number, inner: number];

const around = (shape: readonly number[], axis: number): Middle => [
  sizeOf(shape.slice(0, axis)),
  shape[axis] as number,
  sizeOf(shape.slice(axis + 1)),
];

const withAxis = (shape: readonly number[], axis: number, n: number): number[] =>
  shape.map((m, i) => (i === axis ? n : m));

/** `f` on one axis of [outer, n, inner]. */
const onAxis = ({ device }: Bridge, x: Info, axis: number, n: number, f: (x: Info, middle: Middle) => Info): Info => {
  const middle = around(x.shape, axis);
  return device.view(f(device.view(x, middle), middle), withAxis(x.shape, axis, n));
};

const moved = (x: readonly number[]): number[] => x.flatMap((n, axis) => (n === 0 ? [] : [axis]));

/** Constant padding of a float or int32. */
export const padBy = (
  bridge: Bridge,
  x: Info,
  before: readonly number[],
  after: readonly number[],
  value: number,
): Info => {
  const { run } = bridge.device;
  const axes = moved(before.map((n, i) => n + (after[i] as number)));
  if (axes.length === 0) return x;
  if (x.shape.length <= MAX_RANK)
    return run("PadV2", { x }, { paddings: before.map((n, i) => [n, after[i] as number]), constantValue: value });
  return axes.reduce((info, axis) => {
    const [front, back] = [before[axis] as number, after[axis] as number];
    return onAxis(bridge, info, axis, (x.shape[axis] as number) + front + back, (middle) =>
      run(
        "PadV2",
        { x: middle },
        {
          paddings: [
            [0, 0],
            [front, back],
            [0, 0],
          ],
          constantValue: value,
        },
      ),
    );
  }, x);
};

/** x[begin, begin + size) on each axis, of a float or int32. */
export const crop = (bridge: Bridge, x: Info, begin: readonly number[], size: readonly number[]): Info => {
  const { run } = bridge.device;
  const axes = x.shape.flatMap((n, axis) => (n === size[axis] ? [] : [axis]));
  if (axes.length === 0) return x;
  if (x.shape.length <= MAX_RANK) return run("Slice", { x }, { begin: [...begin], size: [...size] });
  return axes.reduce(
    (info, axis) =>
      onAxis(bridge, info, axis, size[axis] as number, (middle, [outer, , inner]) =>
        run(
          "Slice",
          { x: middle },
          { begin: [0, begin[axis] as number, 0], size: [outer, size[axis] as number, inner] },
        ),
      ),
    x,
  );
};

/** The first of each `step` elements of an axis, n of them: of a float or int32. */
export const everyNth = (bridge: Bridge, x: Info, axis: number, step: number, n: number): Info => {
  if (step === 1) return x;
  const { device } = bridge;
  return onAxis(bridge, x, axis, n, (middle, [outer, m, inner]) => {
    const wanted = n * step;
    const whole =
      m < wanted
        ? padBy(bridge, middle, [0, 0, 0], [0, wanted - m, 0], 0)
        : crop(bridge, middle, [0, 0, 0], [outer, wanted, inner]);
    const runs = device.view(whole, [outer, n, step * inner]);
    return crop(bridge, runs, [0, 0, 0], [outer, n, inner]);
  });
};

/** `step - 1` zeros between the elements of an axis: the adjoint of `everyNth`. */
export const spread = (bridge: Bridge, x: Info, axis: number, step: number): Info => {
  if (step === 1) return x;
  const { device } = bridge;
  const n = x.shape[axis] as number;
  const length = (n - 1) * step + 1;
  return onAxis(bridge, x, axis, length, (middle, [outer, , inner]) => {
    const apart = padBy(bridge, device.view(middle, [outer * n, 1, inner]), [0, 0, 0], [0, step - 1, 0], 0);
    return crop(bridge, device.view(apart, [outer, n * step, inner]), [0, 0, 0], [outer, length, inner]);
  });
};

const expandNumbers = (bridge: Bridge, x: Info, shape: readonly number[]): Info => {
  const { run } = bridge.device;
  const axes = shape.flatMap((n, axis) => (n === x.shape[axis] ? [] : [axis]));
  if (axes.length === 0) return x;
  if (shape.length <= MAX_RANK)
    return run("Tile", { x }, { reps: shape.map((n, axis) => n / (x.shape[axis] as number)) });
  return axes.reduce(
    (info, axis) =>
      onAxis(bridge, info, axis, shape[axis] as number, (middle) =>
        run("Tile", { x: middle }, { reps: [1, shape[axis] as number, 1] }),
      ),
    x,
  );
};

/** Broadcast to a shape of the same rank. */
export const expandTo = (bridge: Bridge, x: Info, shape: readonly number[]): Info =>
  shape.every((n, axis) => n === x.shape[axis]) ? x : moving(bridge, (info) => expandNumbers(bridge, info, shape))(x);

/** `begin` and `step` of core's slice, of a float or int32. */
const sliceNumbers = (
  bridge: Bridge,
  x: Info,
  begin: readonly number[],
  step: readonly number[],
  shape: readonly number[],
): Info => {
  const first = begin.map((at, i) => Math.min(at, at + ((shape[i] as number) - 1) * (step[i] as number)));
  const extent = step.map((by, i) => ((shape[i] as number) - 1) * Math.abs(by) + 1);
  return step.reduce(
    (info, by, axis) => {
      const forward =
        by > 0 || (shape[axis] as number) === 1
          ? info
          : onAxis(bridge, info, axis, extent[axis] as number, (middle) =>
              bridge.device.run("Reverse", { x: middle }, { dims: [1] }),
            );
      return everyNth(bridge, forward, axis, Math.abs(by), shape[axis] as number);
    },
    crop(bridge, x, first, extent),
  );
};

export const movementKernels = (
  bridge: Bridge,
): Required<"permute" | "slice" | "pad" | "expand"> & Optional<"concat"> => {
  const { device, layouts } = bridge;
  const move = (x: View, y: View, f: (info: Info) => Info): void => {
    layouts.put(y, moving(bridge, f)(layouts.flat(x)));
    y.storage.bounds = x.storage.bounds;
  };
  return {
    permute: ({ inputs: [x], outputs: [y], attrs: { perm } }) =>
      move(x, y, (info) => device.run("Transpose", { x: info }, { perm: [...perm] })),

    slice: ({ inputs: [x], outputs: [y], attrs: { begin, step } }) =>
      move(x, y, (info) => sliceNumbers(bridge, info, begin, step, y.shape)),

    pad: ({ inputs: [x], outputs: [y], attrs: { before, after, value } }) => {
      layouts.put(y, moving(bridge, (info) => padBy(bridge, info, before, after, value))(layouts.flat(x)));
    },

    expand: ({ inputs: [x], outputs: [y] }) => move(x, y, (info) => expandNumbers(bridge, info, y.shape)),

    concat: {
      run: ({ inputs, outputs: [y], attrs: { axis } }) => {
        const join = (infos: readonly Info[], along: number): Info =>
          infos[0]?.dtype === "bool"
            ? toBool(
                bridge,
                device.run(
                  "Concat",
                  infos.map((x) => asIntegers(bridge, x)),
                  { axis: along },
                ),
              )
            : device.run("Concat", infos, { axis: along });
        if (y.shape.length === 4 && inputs.some(layouts.prefersImage)) {
          const order = imageShape([0, 1, 2, 3]);
          layouts.putImage(y, join(inputs.map(layouts.image), order.indexOf(axis)));
        } else layouts.put(y, join(inputs.map(layouts.flat), axis));
      },
    },
  };
};
