import { ArgumentError } from "@striate/core";
import { quote } from "./errors.js";
import type { HostTensor } from "./host-tensor.js";
import { PickledName } from "./pickle.js";
import { TorchStorage, type TorchValue } from "./torch-pickle.js";

const isTensor = (value: TorchValue): value is HostTensor =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(
    value instanceof Map ||
    value instanceof Uint8Array ||
    value instanceof PickledName ||
    value instanceof TorchStorage
  );

const isStateDict = (value: TorchValue | undefined): value is Map<string, HostTensor> => {
  if (!(value instanceof Map)) return false;
  for (const [key, item] of value) if (typeof key !== "string" || !isTensor(item)) return false;
  return true;
};

/** The keys under which there are dicts of tensors. A file may have one dict under many keys: each is looked at once. */
const candidatesIn = (checkpoint: TorchValue): string[] => {
  if (!(checkpoint instanceof Map)) return [];
  const judged = new Map<TorchValue, boolean>();
  const isCandidate = (value: TorchValue): boolean => {
    const known = judged.get(value);
    if (known !== undefined || !(value instanceof Map)) return known ?? false;
    const found = value.size > 0 && isStateDict(value);
    judged.set(value, found);
    return found;
  };
  return [...checkpoint].flatMap(([name, value]) => (isCandidate(value) ? [name as string] : []));
};

const list = (names: readonly unknown[]): string =>
  names
    .slice(0, 10)
    .map((name) => quote(String(name)))
    .join(", ") + (names.length > 10 ? ", …" : "");

const describe = (value: TorchValue | undefined): string => {
  if (!(value instanceof Map)) return "is no dict";
  if (value.size === 0) return "is empty";
  return `has ${list([...value.keys()])}`;
};

/**
 * The state dict in what `loadPt` returned: a dict of tensors by name. Without `key` it is the checkpoint itself, or the
 * only dict of tensors directly in it, whatever that is called: "state_dict", "model" …
 * @throws ArgumentError unless there is exactly one; the message says what there is
 */
export const torchStateDict = (
  checkpoint: TorchValue,
  key?: string | readonly string[] | undefined,
): Map<string, HostTensor> => {
  if (key !== undefined) {
    const path = typeof key === "string" ? [key] : key;
    let found: TorchValue | undefined = checkpoint;
    for (const step of path) found = found instanceof Map ? found.get(step) : undefined;
    if (isStateDict(found)) return found;
    const what = path.map(quote).join(" in ");
    throw new ArgumentError(
      found === undefined
        ? `torchStateDict: the checkpoint has no ${what}; it ${describe(checkpoint)}`
        : `torchStateDict: ${what} is no dict of tensors by name; it ${describe(found)}`,
    );
  }
  if (isStateDict(checkpoint)) return checkpoint;
  const candidates = candidatesIn(checkpoint);
  const [only] = candidates;
  if (checkpoint instanceof Map && candidates.length === 1 && only !== undefined)
    return checkpoint.get(only) as Map<string, HostTensor>;
  throw new ArgumentError(
    candidates.length > 1
      ? `torchStateDict: the checkpoint has several state dicts; give key, one of ${list(candidates)}`
      : `torchStateDict: the checkpoint holds no dict of tensors by name; it ${describe(checkpoint)}`,
  );
};
