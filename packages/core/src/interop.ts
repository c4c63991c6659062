/** Between tensors and what their backend holds, for packages that know a backend from within. */
import type { Backend, Operand, TensorSpec } from "./backend.js";
import { runtimeFor } from "./create.js";
import { ArgumentError } from "./errors.js";
import { expectAlive } from "./runtime.js";
import { sizeOf } from "./shape.js";
import type { Tensor } from "./tensor.js";

/**
 * A tensor whose storage `fill` puts elements into, by means of the backend's own. `fill` is not called for a tensor without
 * elements.
 *
 * @throws UnsupportedError for a dtype that the backend does not have, OutOfMemoryError, what `fill` throws.
 */
export const fromBackend = (spec: TensorSpec, backend: Backend, fill: (destination: Operand) => void): Tensor => {
  const runtime = runtimeFor(backend);
  const refs = runtime.produce("fromBackend", null, [spec], ([ref]) => {
    if (ref?.storage) fill({ ...spec, storage: ref.storage });
  });
  return runtime.tensors(refs, [spec])[0] as Tensor;
};

/**
 * What the backend holds for a tensor; valid until the tensor is disposed or rebound.
 *
 * @throws DisposedError; ArgumentError for a tensor without elements, which has no storage.
 */
export const operandOf = (tensor: Tensor): Operand => {
  expectAlive("operandOf", "x", tensor);
  const { shape, dtype } = tensor;
  const { storage } = tensor.ref;
  if (!storage) throw new ArgumentError(`operandOf: x has ${sizeOf(shape)} elements, and so no storage`);
  return { shape, dtype, storage };
};
