import type { Pair, Shape, Window2d } from "@striate/core/backend";
import { f32, f32x4, type I32, i32, i32x4, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { copyRow, fillRow, forUnits, minU, splitUnits, unravel } from "./rows.js";

type Pointer = Local<"i32">;

/** Images [planes, H, W] and columns [planes, kh * kw, oh * ow]. */
interface Geometry {
  readonly image: Pair;
  readonly output: Pair;
  readonly window: Window2d;
}

const geometryOf = (image: Shape, output: Pair, window: Window2d): Geometry => ({
  image: image.slice(-2) as unknown as Pair,
  output,
  window,
});

const keyOf = ({ image, output, window: { kernel, stride, padding, dilation } }: Geometry): string =>
  [image, output, kernel, stride, padding, dilation].join(":");

/** The outputs whose pixel lies inside the image's row, for one column of the kernel. */
interface Run {
  /** Outputs before. */
  readonly from: number | Pointer;
  readonly count: number | Pointer;
  /** Outputs behind. */
  readonly after: number | Pointer;
  /** Bytes from the row's start to the pixel of output `from`. */
  readonly start: I32;
}

const runOf = (b: FunctionBody, { image, output, window }: Geometry, kernelColumn: Pointer): Run => {
  const [step, dilation] = [window.stride[1], window.dilation[1]];
  const [width, outputs] = [image[1], output[1]];
  const [, , before, behind] = window.padding;
  if (before === 0 && behind === 0)
    return { from: 0, count: outputs, after: 0, start: i32.mul(kernelColumn, 4 * dilation) };
  const left = b.let(i32.sub(i32.mul(kernelColumn, dilation), before));
  /** The first output whose pixel is not before `position`. */
  const firstFrom = (position: number): Pointer => {
    const first = b.let(i32.const(0));
    b.if(i32.ltS(left, position), () =>
      b.set(first, minU(b, i32.divU(i32.sub(position + step - 1, left), step), outputs)),
    );
    return first;
  };
  const [from, to] = [firstFrom(0), firstFrom(width)];
  return {
    from,
    count: b.let(i32.sub(to, from)),
    after: b.let(i32.sub(outputs, to)),
    start: i32.shl(i32.add(left, i32.mul(from, step)), 2),
  };
};

/** The image's row under an output row, which may lie outside. */
const rowOf = (b: FunctionBody, { window }: Geometry, kernelRow: Pointer, outputRow: Pointer): Pointer =>
  b.let(
    i32.add(i32.sub(i32.mul(outputRow, window.stride[0]), window.padding[0]), i32.mul(kernelRow, window.dilation[0])),
  );

const shifted = (pointer: I32, elements: number | Pointer): I32 =>
  i32.add(pointer, typeof elements === "number" ? 4 * elements : i32.shl(elements, 2));

/** Units are rows of columns: a plane and a kernel element. */
const unfold = (geometry: Geometry): FunctionDefinition =>
  defineFunction({
    name: "unfold2d",
    params: ["i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, y, chunk, count) => {
      const { image, output, window } = geometry;
      const zeros = b.let(i32x4.splat(0));
      forUnits(b, task, chunk, count, (unit) => {
        const [plane, i, j] = unravel(b, unit, [0, ...window.kernel]) as [Pointer, Pointer, Pointer];
        const run = runOf(b, geometry, j);
        const pixels = b.let(i32.add(i32.add(x, i32.mul(plane, 4 * image[0] * image[1])), run.start));
        const target = b.let(i32.add(y, i32.mul(unit, 4 * output[0] * output[1])));
        b.for(
          0,
          output[0],
          1,
          (outputRow) => {
            const row = rowOf(b, geometry, i, outputRow);
            b.if(
              i32.ltU(row, image[0]),
              () => {
                const from = b.let(i32.add(pixels, i32.mul(row, 4 * image[1])));
                const to = b.let(shifted(target, run.from));
                fillRow(b, 4, zeros, target, run.from);
                copyRow(b, 4, from, window.stride[1], to, 1, run.count);
                fillRow(b, 4, zeros, shifted(to, run.count), run.after);
              },
              () => fillRow(b, 4, zeros, target, output[1]),
            );
            b.increment(target, 4 * output[1]);
          },
          { atLeastOnce: true },
        );
      });
    },
  });

/** to[k * step] += from[k], for `count` elements. */
const addRow = (b: FunctionBody, from: Pointer, to: Pointer, step: number, count: Pointer): void => {
  const rest = b.let(count);
  if (step === 1)
    b.if(i32.geU(rest, 4), () =>
      b.forever((leave) => {
        b.do(v128.store(to, f32x4.add(v128.load(to), v128.load(from))));
        b.increment(from, 16);
        b.increment(to, 16);
        b.increment(rest, -4);
        leave(i32.ltU(rest, 4));
      }),
    );
  b.if(rest, () =>
    b.forever((leave) => {
      b.do(f32.store(to, f32.add(f32.load(to), f32.load(from))));
      b.increment(from, 4);
      b.increment(to, 4 * step);
      b.increment(rest, -1);
      leave(i32.eqz(rest));
    }),
  );
};

/** Units are planes: each pixel's terms are added in the order of the kernel's elements. */
const fold = (geometry: Geometry): FunctionDefinition =>
  defineFunction({
    name: "fold2d",
    params: ["i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, y, chunk, count) => {
      const { image, output, window } = geometry;
      const [kh, kw] = window.kernel;
      const zeros = b.let(i32x4.splat(0));
      forUnits(b, task, chunk, count, (plane) => {
        const pixels = b.let(i32.add(y, i32.mul(plane, 4 * image[0] * image[1])));
        const source = b.let(i32.add(x, i32.mul(plane, 4 * kh * kw * output[0] * output[1])));
        fillRow(b, 4, zeros, pixels, image[0] * image[1]);
        b.for(0, kh, 1, (i) => {
          b.for(0, kw, 1, (j) => {
            const run = runOf(b, geometry, j);
            const start = b.let(i32.add(pixels, run.start));
            const elements = typeof run.count === "number" ? b.let(i32.const(run.count)) : run.count;
            b.for(0, output[0], 1, (outputRow) => {
              const row = rowOf(b, geometry, i, outputRow);
              b.if(i32.ltU(row, image[0]), () => {
                const from = b.let(shifted(source, run.from));
                addRow(b, from, b.let(i32.add(start, i32.mul(row, 4 * image[1]))), window.stride[1], elements);
              });
              b.increment(source, 4 * output[1]);
            });
          });
        });
      });
    },
  });

const planesOf = (shape: Shape): number => (shape[0] as number) * (shape[1] as number);

export const unfold2dKernels = (runtime: Runtime): Pick<WasmKernels, "unfold2d" | "fold2d"> => ({
  unfold2d: ({ inputs: [x], outputs: [y], attrs: { window, outputSize } }) => {
    const geometry = geometryOf(x.shape, outputSize, window);
    const units = planesOf(x.shape) * window.kernel[0] * window.kernel[1];
    const { tasks, chunk } = splitUnits(units, outputSize[0] * outputSize[1]);
    const args = [x.storage.address, y.storage.address, chunk, units];
    runtime.run(`unfold2d:${keyOf(geometry)}`, () => unfold(geometry), tasks, args);
  },

  fold2d: ({ inputs: [x], outputs: [y], attrs: { window, outputSize } }) => {
    const geometry = geometryOf(y.shape, outputSize, window);
    const planes = planesOf(y.shape);
    const elements = window.kernel[0] * window.kernel[1] * outputSize[0] * outputSize[1];
    const { tasks, chunk } = splitUnits(planes, elements);
    const args = [x.storage.address, y.storage.address, chunk, planes];
    runtime.run(`fold2d:${keyOf(geometry)}`, () => fold(geometry), tasks, args);
  },
});
