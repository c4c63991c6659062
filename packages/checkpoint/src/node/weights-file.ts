import { CheckpointError } from "../errors.js";
import { type HasStateDict, type LoadedWeights, type LoadWeightsOptions, loadWeights } from "../load-weights.js";
import type { OpenTensors } from "../tensor-reader.js";
import { withFile } from "./file.js";
import { type OpenPtOptions, openPt } from "./pt-file.js";
import { openSafetensors } from "./safetensors-file.js";
import { openShardedSafetensors } from "./sharded-file.js";

/**
 * Opens a file of weights, whatever its kind: safetensors, a `model.safetensors.index.json` beside its shards, or what
 * `torch.save` wrote. The contents tell, not the name.
 * @throws CheckpointError, ArgumentError as the function for its kind
 */
export const openWeights = async (path: string, options: OpenPtOptions = {}): Promise<OpenTensors> => {
  const head = await withFile(
    path,
    async (file) => {
      const bytes = new Uint8Array(Math.min(10, file.size));
      await file.read(0, bytes);
      return String.fromCharCode(...bytes);
    },
    "always",
  );
  // A safetensors file begins with the length of its header, in eight bytes, and that with a brace.
  if (head.slice(4, 9) === "\0\0\0\0{") return openSafetensors(path);
  if (head.startsWith("PK") || head.startsWith("\x80")) return openPt(path, options);
  if (/^\s*\{/.test(head)) return openShardedSafetensors(path);
  throw new CheckpointError(
    "checkpoint-corrupt",
    `${path}: these are no weights: neither safetensors, nor an index of it, nor of torch.save`,
  );
};

/**
 * Loads weights from a file into a module, tensor by tensor: `await loadWeightsFile(net, "resnet18.pth")`. See
 * `openWeights` and `loadWeights`.
 * @throws as these
 */
export const loadWeightsFile = async (
  module: HasStateDict,
  path: string,
  { key, ...options }: LoadWeightsOptions & OpenPtOptions = {},
): Promise<LoadedWeights> => {
  const file = await openWeights(path, { key });
  try {
    return await loadWeights(module, file, options);
  } finally {
    await file.close();
  }
};
