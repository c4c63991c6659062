/** Striate's half of tools/interop/torch-roundtrip.mjs: the network of torch_roundtrip.py on core's operators. */
import { createCpuBackend } from "@striate/backend-cpu";
import { conv2d, flatten, full, linear, maxPool2d, noGrad, randn, relu, type Tensor, tensor } from "@striate/core";

export { loadWeightsFile, saveSafetensors, saveShardedSafetensors } from "../node/index.js";

const shapes: Readonly<Record<string, readonly number[]>> = {
  "conv.weight": [8, 3, 3, 3],
  "bn.weight": [8],
  "bn.bias": [8],
  "bn.running_mean": [8],
  "bn.running_var": [8],
  "bn.num_batches_tracked": [],
  "fc.weight": [10, 128],
  "fc.bias": [10],
};

/** With random weights, for logits of [4, 3, 8, 8] inputs. */
export const createNetwork = async () => {
  const backend = await createCpuBackend();
  const state = new Map<string, Tensor>();
  for (const [i, [name, shape]] of Object.entries(shapes).entries())
    state.set(
      name,
      shape.length === 0
        ? full(shape, 7, { backend, dtype: "int32" })
        : randn(shape, { backend, seed: 3, stream: i }).square().add(0.1),
    );
  const at = (name: string): Tensor => state.get(name) as Tensor;
  return {
    stateDict: () => state,
    logits: (input: Float32Array): Float32Array =>
      noGrad(() => {
        const x = tensor(input, { backend, shape: [4, 3, 8, 8] });
        const channels = (name: string): Tensor => at(name).reshape([1, 8, 1, 1]);
        const inverse = channels("bn.running_var").add(1e-5).rsqrt();
        const y = conv2d(x, at("conv.weight"), { padding: 1 })
          .sub(channels("bn.running_mean"))
          .mul(inverse.mul(channels("bn.weight")))
          .add(channels("bn.bias"));
        const features = flatten(maxPool2d(relu(y), { kernel: 2 }), 1);
        return linear(features, at("fc.weight"), at("fc.bias")).dataSync() as Float32Array;
      }),
  };
};
