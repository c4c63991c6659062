import { bytesPerElement, sizeOf } from "@striate/core/backend";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";

export const fillKernels = (runtime: Runtime): Pick<WasmKernels, "fill"> => ({
  // The engine's own fill is as fast as memory is.
  fill: ({ outputs: [y], attrs: { value } }) => {
    const size = sizeOf(y.shape);
    const { address } = y.storage;
    if (bytesPerElement[y.dtype] === 1) new Uint8Array(runtime.buffer, address, size).fill(value);
    else if (y.dtype === "int32") new Int32Array(runtime.buffer, address, size).fill(value);
    else new Float32Array(runtime.buffer, address, size).fill(value);
  },
});
