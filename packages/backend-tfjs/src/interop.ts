/** Tensors between tfjs and Striate. Apart from the backend itself, because this part stands on all of core. */
import { fromBackend, operandOf, type Tensor } from "@striate/core";
import { ArgumentError, type DType } from "@striate/core/backend";
import type { LayoutOptions, TfjsBackend, TfjsTensor } from "./index.js";

export type { LayoutOptions } from "./index.js";

const isTfjs = (backend: object): backend is TfjsBackend => "toTfjs" in backend;

export interface FromTfjsOptions extends LayoutOptions {
  readonly backend: TfjsBackend;
}

/**
 * A tfjs tensor as a tensor of Striate. The data is shared if it lies on the same backend of tfjs, else copied; each of the
 * two is disposed on its own. With layout "NHWC" a tensor [N, H, W, C] becomes one of [N, C, H, W], without a copy too.
 *
 * @throws DisposedError, ArgumentError for a dtype that Striate does not have, or NHWC of another rank than 4.
 */
export const fromTfjs = (tensor: TfjsTensor, { backend, layout }: FromTfjsOptions): Tensor => {
  if (tensor.dtype !== "float32" && tensor.dtype !== "int32" && tensor.dtype !== "bool")
    throw new ArgumentError(`fromTfjs: the tfjs tensor is ${tensor.dtype}, expected float32, int32 or bool`);
  const dtype: DType = tensor.dtype;
  if (layout === "NHWC" && tensor.rank !== 4)
    throw new ArgumentError(`fromTfjs: the tfjs tensor is [${tensor.shape}], expected [N, H, W, C]`);
  const [n, h, w, c] = tensor.shape as [number, number, number, number];
  const shape = layout === "NHWC" ? [n, c, h, w] : [...tensor.shape];
  return fromBackend({ shape, dtype }, backend, (destination) => backend.fromTfjs(tensor, destination, { layout }));
};

/**
 * A tensor of Striate as a tfjs tensor, which the caller disposes (or a tidy scope that is open). The data is shared where
 * the backend has the layout at hand: with "NHWC" that is so for what a convolution or pool gave. `T` is tfjs's own type:
 * `toTfjs<tf.Tensor>(x)`.
 *
 * @throws DisposedError, ArgumentError for a tensor on another kind of backend.
 */
export const toTfjs = <T extends TfjsTensor = TfjsTensor>(x: Tensor, options?: LayoutOptions): T => {
  const { backend } = x;
  if (!isTfjs(backend)) throw new ArgumentError(`toTfjs: x is on backend ${backend.name}, expected one of tfjs`);
  return backend.toTfjs(operandOf(x), options) as T;
};
