/** Tensors that a method keeps beside the ones that are trained: what Lookahead and EMA have in common. */
import { ArgumentError, keep, type Tensor } from "@striate/core";
import { isFloat } from "@striate/core/backend";

/** What a checkpoint holds of them. */
export interface AveragesState {
  /** `0`, `1` …: by the order of the tensors. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly counters: ReadonlyMap<string, number>;
}

/** Those that can be averaged: counters, which are integers, cannot. */
export const floatTensors = (tensors: Iterable<Tensor>): Tensor[] =>
  [...tensors].filter((tensor) => isFloat(tensor.dtype));

/** Handles of one's own with the same values. */
export const keptCopies = (tensors: readonly Tensor[]): Tensor[] => tensors.map((tensor) => keep(tensor.detach()));

export const assignAll = (handles: readonly Tensor[], values: readonly Tensor[]): void =>
  handles.forEach((handle, i) => handle.assign(values[i] as Tensor));

export const tensorsByPlace = (tensors: readonly Tensor[]): Map<string, Tensor> =>
  new Map(tensors.map((tensor, i) => [`${i}`, tensor]));

const describe = (tensor: Tensor): string => `${tensor.dtype} [${tensor.shape.join(", ")}]`;

/** The state's tensors by place. @throws ArgumentError for one that does not fit `own`, or too many of them. */
export const fittingTensors = (name: string, own: readonly Tensor[], given: ReadonlyMap<string, Tensor>): Tensor[] => {
  const values = own.map((expected, i) => {
    const value = given.get(`${i}`);
    if (!value || describe(value) !== describe(expected))
      throw new ArgumentError(
        `${name}: tensor ${i} of the state is ${value ? describe(value) : "missing"}, expected ${describe(expected)}`,
      );
    return value;
  });
  if (given.size !== own.length)
    throw new ArgumentError(`${name}: the state has ${given.size} tensors, expected ${own.length}`);
  return values;
};
