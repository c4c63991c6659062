import { ArgumentError } from "../errors.js";

/** What addresses a block of random numbers; the same address always gives the same numbers. */
export interface RandomAddress {
  /** Of the whole run: an integer in [0, 2^53). */
  readonly seed: number;
  /** Which of the run's generators: an integer in [0, 2^32). Default 0. */
  readonly stream?: number | undefined;
  /** Which use of that generator, a step counter say: an integer in [0, 2^32). Default 0. */
  readonly offset?: number | undefined;
}

const expectInteger = (op: string, name: string, value: number, limit: number): void => {
  if (!Number.isInteger(value) || value < 0 || value >= limit)
    throw new ArgumentError(`${op}: ${name} is ${value}, expected an integer in [0, ${limit})`);
};

/** The address with its defaults. @throws ArgumentError for anything but integers in range. */
export const checkedAddress = (
  op: string,
  { seed, stream = 0, offset = 0 }: RandomAddress,
): { readonly seed: number; readonly stream: number; readonly offset: number } => {
  expectInteger(op, "seed", seed, 2 ** 53);
  expectInteger(op, "stream", stream, 2 ** 32);
  expectInteger(op, "offset", offset, 2 ** 32);
  return { seed, stream, offset };
};

/** How many numbers one address gives: four for each of 2^32 counters. @throws ArgumentError */
export const expectCount = (op: string, count: number): void => expectInteger(op, "count", count, 2 ** 34 + 1);
