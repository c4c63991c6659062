import { sizeOf } from "@striate/core/backend";
import type { Bridge, Info, Required } from "../bridge.js";

/** Where the axes of [N, C, H, W] are in [N, H, W, C]. */
const imageAxis = [0, 3, 1, 2] as const;

/** The greatest divisor of n that is at most its root. */
const nearRoot = (n: number): number => {
  let divisor = Math.floor(Math.sqrt(n));
  while (n % divisor !== 0) divisor--;
  return divisor;
};

/** The sums of the columns of [rows, columns]: a product with ones. */
const columnSums = ({ device }: Bridge, x: Info, rows: number, columns: number): Info => {
  const ones = device.run("Fill", {}, { shape: [1, 1, rows], value: 1, dtype: "float32" });
  const b = device.view(x, [1, rows, columns]);
  return device.run("BatchMatMul", { a: ones, b }, { transposeA: false, transposeB: false });
};

/**
 * Σ over all axes but the last, as [C], by products with ones: the fastest reduction that tfjs's backends have. In two
 * rounds, because they add up one by one, and the error of a float32 sum grows with the length of the chain.
 */
export const channelSums = (bridge: Bridge, x: Info): Info => {
  const channels = x.shape.at(-1) as number;
  const rows = sizeOf(x.shape) / channels;
  const parts = nearRoot(rows);
  const partial = columnSums(bridge, x, rows / parts, parts * channels);
  return bridge.device.view(columnSums(bridge, partial, parts, channels), [channels]);
};

export const reduceKernels = (bridge: Bridge): Required<"reduce" | "argReduce"> => {
  const { layouts, primitives } = bridge;

  /** The axes in an image, if what is kept comes out in the right order. */
  const axesInImage = (axes: readonly number[]): readonly number[] | null => {
    const kept = imageAxis.filter((_, axis) => !axes.includes(axis));
    return kept.every((at, i) => i === 0 || at > (kept[i - 1] as number))
      ? axes.map((axis) => imageAxis[axis] as number)
      : null;
  };

  return {
    reduce: ({ inputs: [x], outputs: [y], attrs: { kind, axes } }) => {
      const f = primitives.reduce[kind][x.dtype === "float32" ? "float32" : "int32"];
      const inImage = layouts.prefersImage(x) ? axesInImage(axes) : null;
      if (inImage) {
        const info = layouts.image(x);
        const perChannel = kind === "sum" && x.dtype === "float32" && axes.join() === "0,2,3";
        layouts.put(y, perChannel ? channelSums(bridge, info) : f(info, inImage));
      } else layouts.put(y, f(layouts.flat(x), axes));
      if (kind === "sum" && y.dtype === "uint8") layouts.put(y, primitives.wrapByte(layouts.flat(y)));
    },

    argReduce: ({ inputs: [x], outputs: [y], attrs: { kind, axis } }) => {
      layouts.put(y, primitives.argReduce[kind][x.dtype === "float32" ? "float32" : "int32"](layouts.flat(x), axis));
      y.storage.bounds = [0, (x.shape[axis] as number) - 1];
    },
  };
};
