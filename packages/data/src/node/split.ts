import { ArgumentError } from "@striate/core";

/** @throws ArgumentError */
export const expectSplit = (op: string, split: string): void => {
  if (split !== "train" && split !== "test")
    throw new ArgumentError(`${op}: split is ${JSON.stringify(split)}, expected train or test`);
};
