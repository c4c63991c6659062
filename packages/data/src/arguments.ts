import { ArgumentError } from "@striate/core";

/** @throws ArgumentError unless `value` is an integer from `least` to `most`. */
export const expectCount = (
  op: string,
  argument: string,
  value: number,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): void => {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw new ArgumentError(
      `${op}: ${argument} is ${value}, expected an integer ${
        most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
      }`,
    );
};

/** @throws ArgumentError unless `seed` is a non-negative safe integer. */
export const expectSeed = (op: string, seed: number): void => expectCount(op, "seed", seed, 0);

/** @throws ArgumentError unless `value` is a number from `least` to `most`. */
export const expectNumber = (op: string, argument: string, value: number, least: number, most: number): void => {
  if (!(value >= least && value <= most))
    throw new ArgumentError(`${op}: ${argument} is ${value}, expected a number from ${least} to ${most}`);
};
