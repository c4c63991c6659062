import { type BinaryKind, sizeOf } from "@striate/core/backend";
import type { Bridge, Info, Optional, Required } from "../bridge.js";
import type { F1, F2 } from "../primitives.js";
import { tfjsDType, type View } from "../storage.js";
import { asIntegers, toBool } from "./bool.js";
import { expandTo } from "./movement.js";

type Typed<F> = Readonly<Record<"float32" | "int32", F>>;

const typed = <F>({ float32, int32 }: Typed<F>, x: Info): F => (x.dtype === "float32" ? float32 : int32);

/** The shape of the broadcast result of operands of one rank. */
const commonShape = (infos: readonly Info[]): number[] =>
  (infos[0] as Info).shape.map((_, axis) => Math.max(...infos.map(({ shape }) => shape[axis] as number)));

export const elementwiseKernels = (
  bridge: Bridge,
): Required<"fill" | "cast" | "unary" | "binary" | "compare" | "where"> &
  Optional<"binaryScalar" | "clamp" | "reluGrad"> => {
  const { device, layouts, primitives } = bridge;
  const { run } = device;

  const scalar = (like: Info, value: number): Info =>
    device.place(like.dtype === "float32" ? Float32Array.of(value) : Int32Array.of(value), []);

  const castOf = (x: View, y: View): F1 => {
    const [from, to] = [tfjsDType(x.dtype), tfjsDType(y.dtype)];
    if (y.dtype === "bool") return x.dtype === "bool" ? (info) => info : (info) => toBool(bridge, info);
    const converted: F1 = from === to ? (info) => info : (info) => run("Cast", { x: info }, { dtype: to });
    const narrows = y.dtype === "uint8" && (x.dtype === "int32" || x.dtype === "float32");
    return narrows ? (info) => primitives.wrapByte(converted(info)) : converted;
  };

  const binaryOf = (kind: BinaryKind, y: View): F2 => {
    const f: F2 = (a, b) => typed(primitives.binary[kind], a)(a, b);
    const wraps = y.dtype === "uint8" && kind !== "max" && kind !== "min";
    return wraps ? (a, b) => primitives.wrapByte(f(a, b)) : f;
  };

  const select = (condition: Info, t: Info, e: Info): Info => typed(primitives.select, t)(condition, t, e);

  const broadcast = (inputs: readonly View[], y: View, f: (...infos: Info[]) => Info): void => {
    if (y.shape.length <= 4 || device.hostMemory) layouts.broadcast(inputs, y, f);
    // Kernels for GPUs stop at some rank: without axes there is nothing to broadcast.
    else
      layouts.put(
        y,
        f(...inputs.map((x) => device.view(expandTo(bridge, layouts.flat(x), y.shape), [sizeOf(y.shape)]))),
      );
  };

  return {
    fill: ({ outputs: [y], attrs: { value } }) =>
      layouts.put(y, run("Fill", {}, { shape: [...y.shape], value, dtype: tfjsDType(y.dtype) })),

    cast: ({ inputs: [x], outputs: [y] }) => layouts.pointwise(x, y, castOf(x, y)),

    unary: ({ inputs: [x], outputs: [y], attrs: { kind } }) =>
      layouts.pointwise(x, y, (info) => typed(primitives.unary[kind], info)(info)),

    binary: ({ inputs: [a, b], outputs: [y], attrs: { kind } }) => broadcast([a, b], y, binaryOf(kind, y)),

    compare: ({ inputs: [a, b], outputs: [y], attrs: { kind } }) =>
      broadcast([a, b], y, (left, right) => {
        const [p, q] = [asIntegers(bridge, left), asIntegers(bridge, right)];
        return typed(primitives.compare[kind], p)(p, q);
      }),

    where: ({ inputs, outputs: [y] }) =>
      broadcast(inputs, y, (...infos) => {
        const shape = commonShape(infos);
        const [condition, t, e] = infos.map((info) => expandTo(bridge, info, shape)) as [Info, Info, Info];
        return t.dtype === "bool"
          ? toBool(bridge, select(condition, asIntegers(bridge, t), asIntegers(bridge, e)))
          : select(condition, t, e);
      }),

    binaryScalar: {
      run: ({ inputs: [x], outputs: [y], attrs: { kind, value, side } }) => {
        const f = binaryOf(kind, y);
        layouts.pointwise(x, y, (info) =>
          side === "right" ? f(info, scalar(info, value)) : f(scalar(info, value), info),
        );
      },
    },

    clamp: {
      run: ({ inputs: [x], outputs: [y], attrs: { min, max } }) =>
        layouts.pointwise(x, y, (info) => {
          const least = typed(primitives.binary.max, info)(info, scalar(info, min));
          return typed(primitives.binary.min, info)(least, scalar(info, max));
        }),
    },

    reluGrad: {
      run: ({ inputs: [x, gy], outputs: [gx] }) =>
        broadcast([x, gy], gx, (value, gradient) => {
          const dropped = primitives.compare.le.float32(value, scalar(value, 0));
          return select(dropped, run("ZerosLike", { x: gradient }), gradient);
        }),
    },
  };
};
