import { checkedAddress, expectCount, type RandomAddress } from "./address.js";
import { randomWords } from "./philox.js";

/**
 * The numbers 0 … count-1 in random order (Fisher and Yates), a function of the address alone. The bias of a 32-bit draw
 * is below count/2^32.
 *
 * @throws ArgumentError for a bad count or address.
 */
export const permutation = (count: number, address: RandomAddress): Int32Array => {
  const { seed, stream, offset } = checkedAddress("permutation", address);
  expectCount("permutation", count);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const words = randomWords(seed, stream, offset, count);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(((words[i] as number) / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
};
