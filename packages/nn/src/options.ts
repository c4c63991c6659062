/** What several layers' constructors check or share. */
import { ArgumentError } from "@striate/core";
import { type Initialiser, torchDefault } from "./init.js";

/** One number for both directions, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];

export const pairOf = (value: Pair): readonly [number, number] => (typeof value === "number" ? [value, value] : value);

export interface InitOptions {
  /** Default: PyTorch's, uniform in ±1 / √fanIn. */
  readonly weightInit?: Initialiser;
  /** Gets the fans of the weight. Default: as the weight's default. */
  readonly biasInit?: Initialiser;
}

export interface AffineOptions extends InitOptions {
  /** Default true. */
  readonly bias?: boolean;
}

export const initsOf = ({
  weightInit = torchDefault,
  biasInit = torchDefault,
}: InitOptions): Required<InitOptions> => ({
  weightInit,
  biasInit,
});

/** @throws ArgumentError naming the layer and the size, unless all are positive integers. */
export const expectSizes = (layer: string, sizes: Readonly<Record<string, Pair>>): void => {
  for (const [name, size] of Object.entries(sizes))
    if (!pairOf(size).every((n) => Number.isSafeInteger(n) && n >= 1))
      throw new ArgumentError(`${layer}: ${name} is ${JSON.stringify(size)}, expected positive integers`);
};

/** @throws ArgumentError unless `groups` divides all of `channels`. */
export const expectGroups = (layer: string, groups: number, channels: Readonly<Record<string, number>>): void => {
  expectSizes(layer, { groups });
  for (const [name, n] of Object.entries(channels))
    if (n % groups !== 0)
      throw new ArgumentError(`${layer}: ${name} is ${n}, expected a multiple of groups, ${groups}`);
};
