import { ArgumentError } from "@striate/core";

type Values = Readonly<Record<string, number>>;

const expectAll =
  (expected: string, holds: (value: number) => boolean) =>
  (owner: string, values: Values): void => {
    for (const [name, value] of Object.entries(values))
      if (!holds(value)) throw new ArgumentError(`${owner}: ${name} is ${value}, expected ${expected}`);
  };

/** Each takes the name of what is being configured and its values by name. @throws ArgumentError naming both. */
export const expectFinite = /* @__PURE__ */ expectAll("a finite number", Number.isFinite);
export const expectNonNegative = /* @__PURE__ */ expectAll("a finite number >= 0", (v) => Number.isFinite(v) && v >= 0);
export const expectPositive = /* @__PURE__ */ expectAll("a finite number > 0", (v) => Number.isFinite(v) && v > 0);
/** A decay rate: at 1 an average would never move, and Adam's bias correction would divide by 0. */
export const expectDecay = /* @__PURE__ */ expectAll("a number in [0, 1)", (v) => v >= 0 && v < 1);
export const expectFraction = /* @__PURE__ */ expectAll("a number in [0, 1]", (v) => v >= 0 && v <= 1);
export const expectCount = /* @__PURE__ */ expectAll("an integer >= 0", (v) => Number.isSafeInteger(v) && v >= 0);
export const expectPositiveCount = /* @__PURE__ */ expectAll(
  "an integer >= 1",
  (v) => Number.isSafeInteger(v) && v >= 1,
);
