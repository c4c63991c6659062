import { constant, expectArguments } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";

export interface UpsampleOptions {
  /** Positive integer. */
  readonly scale: number;
  /** Default "nearest". "bilinear" is PyTorch's with align_corners false. */
  readonly mode?: "nearest" | "bilinear" | undefined;
}

const nearest = (x: Tensor, scale: number): Tensor => {
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  return x
    .reshape([n, channels, height, 1, width, 1])
    .expand([n, channels, height, scale, width, scale])
    .reshape([n, channels, height * scale, width * scale]);
};

/** Each output is a blend of two neighbours, whose centres lie half a pixel in. */
const linearAlong = (x: Tensor, axis: number, scale: number): Tensor => {
  const n = x.shape[axis] as number;
  const m = n * scale;
  const low = new Int32Array(m);
  const high = new Int32Array(m);
  const weight = new Float64Array(m);
  for (let i = 0; i < m; i++) {
    const at = Math.max(0, (i + 0.5) / scale - 0.5);
    const below = Math.floor(at);
    low[i] = below;
    high[i] = Math.min(below + 1, n - 1);
    weight[i] = at - below;
  }
  const index = (data: Int32Array): Tensor => constant(x, { shape: [m], dtype: "int32" }, data);
  const blend = constant(x, { shape: x.shape.map((_, i) => (i === axis ? m : 1)), dtype: x.dtype }, weight);
  return x
    .indexSelect(axis, index(low))
    .mul(blend.neg().add(1))
    .add(x.indexSelect(axis, index(high)).mul(blend));
};

/** Enlarge [N, C, H, W] by an integer factor, as torch.nn.functional.interpolate. @throws ShapeError, ArgumentError */
export const upsample2d = /* @__PURE__ */ scoped((x: Tensor, { scale, mode = "nearest" }: UpsampleOptions): Tensor => {
  expectArguments("upsample2d", { x });
  expectDType("upsample2d", "x", x.dtype, floatDTypes);
  if (x.rank !== 4) throw new ShapeError(`upsample2d: x is ${formatShape(x.shape)}, expected [N, C, H, W]`);
  if (!Number.isInteger(scale) || scale < 1)
    throw new ArgumentError(`upsample2d: scale is ${scale}, expected a positive integer`);
  if (mode === "nearest") return nearest(x, scale);
  if (mode === "bilinear") return linearAlong(linearAlong(x, 2, scale), 3, scale);
  throw new ArgumentError(`upsample2d: mode is ${mode as string}, expected nearest or bilinear`);
});
