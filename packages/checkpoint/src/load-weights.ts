import { ArgumentError, scope, type Tensor } from "@striate/core";
import { quote } from "./errors.js";
import { byteLengthOf, type HostTensor } from "./host-tensor.js";
import { tensorsFromHost } from "./state-dict.js";
import { formatDifference, stateDifference } from "./state-difference.js";
import type { TensorInfo, TensorReader } from "./tensor-reader.js";

/** What weights are loaded into: a module of @striate/nn, for one. */
export interface HasStateDict {
  /** Handles, not copies: values are assigned to them. */
  stateDict(): Iterable<readonly [string, Tensor]>;
}

export interface LoadWeightsOptions {
  /** Refuse weights that lack a name of the module, or have one that it lacks. Default true. */
  readonly strict?: boolean | undefined;
  /** Take only names that begin so, without it: `"module."`, `"backbone."`. */
  readonly prefix?: string | undefined;
  /** From a name in the weights (without prefix) to one of the module. */
  readonly rename?: ((name: string) => string) | undefined;
  /** Names (of the module) to pass over on both sides: `(name) => name.startsWith("fc.")` for a new head. */
  readonly skip?: ((name: string) => boolean) | undefined;
}

/** What became of the names, as the module has them. */
export interface LoadedWeights {
  readonly loaded: readonly string[];
  /** Of the module, not in the weights: they are as they were. */
  readonly missing: readonly string[];
  /** In the weights, not in the module. */
  readonly unexpected: readonly string[];
  readonly skipped: readonly string[];
}

const readerOf = (weights: TensorReader | Iterable<readonly [string, HostTensor]>): TensorReader => {
  if ("read" in weights) return weights;
  const tensors = new Map(weights);
  return { tensors, read: async (name) => tensors.get(name) as HostTensor };
};

/** Names of the module → names in the weights. @throws ArgumentError */
const namesIn = (
  tensors: ReadonlyMap<string, TensorInfo>,
  { prefix = "", rename = (name) => name }: LoadWeightsOptions,
): Map<string, string> => {
  const sources = new Map<string, string>();
  for (const source of tensors.keys()) {
    if (!source.startsWith(prefix)) continue;
    const name = rename(source.slice(prefix.length));
    const other = sources.get(name);
    if (other !== undefined)
      throw new ArgumentError(`loadWeights: ${quote(other)} and ${quote(source)} both become ${quote(name)}`);
    sources.set(name, source);
  }
  if (sources.size === 0 && tensors.size > 0)
    throw new ArgumentError(
      `loadWeights: no name begins with ${quote(prefix)}; the first is ${quote([...tensors.keys()][0] as string)}`,
    );
  return sources;
};

/** A tensor of the host where `handle` is, with its dtype. @throws ArgumentError for an integer beyond int32 */
const assign = (name: string, handle: Tensor, host: HostTensor): void => {
  const { backend, dtype } = handle;
  const to = dtype === "float32" || dtype === "float64" ? dtype : undefined;
  scope(() => {
    const [value] = tensorsFromHost([[name, host]], { backend, dtype: to }).values();
    handle.assign(value as Tensor);
  });
};

const isFloat = ({ dtype }: Tensor): boolean => dtype.startsWith("float");

/**
 * Loads weights into a module, tensor by tensor: besides the module there is memory for the largest tensor only, on the
 * host and on the backend. Floats become the module's dtype, integers int32. Weights are an open file, or tensors of the
 * host by name.
 *
 *     await loadWeights(net, file, { skip: (name) => name.startsWith("fc.") }); // fine-tuning with a new head
 *
 * Names, shapes and dtypes are compared before any element is read, and integers are read before any float is assigned.
 * If the file cannot be read after that (`CheckpointError`), the module is part old and part new.
 *
 * @throws ArgumentError listing everything that does not fit (shapes and dtypes also if not `strict`), with nothing
 * changed; as `TensorReader.read`
 */
export const loadWeights = async (
  module: HasStateDict,
  weights: TensorReader | Iterable<readonly [string, HostTensor]>,
  options: LoadWeightsOptions = {},
): Promise<LoadedWeights> => {
  const { strict = true, skip = () => false } = options;
  const reader = readerOf(weights);
  const own = new Map(module.stateDict());
  const sources = namesIn(reader.tensors, options);
  const skipped = [...own.keys()].filter((name) => skip(name));
  const expected = [...own].filter(([name]) => !skip(name));
  const given = [...sources]
    .filter(([name]) => !skip(name))
    .map(([name, source]) => [name, reader.tensors.get(source) as TensorInfo] as const);

  const difference = stateDifference(expected, given);
  const { missing, unexpected, mismatched } = difference;
  if (mismatched.length > 0 || (strict && missing.length + unexpected.length > 0)) {
    const shown = strict ? difference : { missing: [], unexpected: [], mismatched };
    throw new ArgumentError(
      `loadWeights: the weights do not fit the module\n  ${formatDifference(shown).replaceAll("\n", "\n  ")}`,
    );
  }

  const loaded = expected.filter(([name]) => sources.has(name));
  const read = (name: string, buffer?: ArrayBuffer): Promise<HostTensor> =>
    reader.read(sources.get(name) as string, buffer);
  const bytesOf = (name: string): number => {
    const { dtype, shape } = reader.tensors.get(sources.get(name) as string) as TensorInfo;
    return byteLengthOf(dtype, shape) as number;
  };
  // Few and small, and the only values that may not fit.
  const counts: (() => void)[] = [];
  for (const [name, handle] of loaded) {
    if (isFloat(handle)) continue;
    const host = await read(name);
    // Converted once to see that it can be.
    scope(() => {
      tensorsFromHost([[name, host]], { backend: handle.backend });
    });
    counts.push(() => assign(name, handle, host));
  }
  const floats = loaded.filter(([, handle]) => isFloat(handle));
  const buffer = new ArrayBuffer(Math.max(0, ...floats.map(([name]) => bytesOf(name))));
  for (const [name, handle] of floats) assign(name, handle, await read(name, buffer));
  for (const count of counts) count();
  return { loaded: loaded.map(([name]) => name), missing, unexpected, skipped };
};
