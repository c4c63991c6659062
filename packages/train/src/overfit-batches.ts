import { ArgumentError } from "@striate/core";
import type { BatchSequence } from "@striate/data";
import type { FitOptions } from "./fit.js";

/**
 * The first `count` batches of epoch 0 in every epoch, as they are there: a network that cannot bring its loss on them
 * to nearly zero, trained without augmentation and regularisation, has a fault.
 *
 * @throws ArgumentError for a bad count
 */
export const overfitBatches = (batches: FitOptions["batches"], count: number): FitOptions["batches"] => {
  if (!(Number.isSafeInteger(count) && count >= 1))
    throw new ArgumentError(`overfitBatches: count is ${count}, expected a whole number of at least 1`);
  return (_, start): BatchSequence => {
    const total = Math.min(count, batches(0, 0).total);
    return {
      total,
      *[Symbol.iterator]() {
        if (start >= total) return;
        for (const batch of batches(0, start)) {
          yield { ...batch, total };
          if (batch.index + 1 >= total) return;
        }
      },
    };
  };
};
