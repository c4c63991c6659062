/**
 * Philox4x32-10: J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. Counter-based: there is no
 * state to save, the numbers are a function of (key, counter). Known answers: philox.test.ts.
 */

import { checkedAddress, expectCount } from "./address.js";

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** High 32 bits of the 64-bit product of two uint32. Math.imul has the low ones. */
const mulHigh = (a: number, b: number): number => {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const mid = ah * bl + ((al * bl) >>> 16);
  const low = al * bh + (mid & 0xffff);
  return (ah * bh + Math.floor(mid / 0x10000) + Math.floor(low / 0x10000)) >>> 0;
};

/** Four uint32 for a counter of four words and a key of two; written to `out[at … at+3]`. */
export const philox4x32 = (
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: Uint32Array = new Uint32Array(4),
  at = 0,
): Uint32Array => {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0 >>> 0);
    const low0 = Math.imul(M0, c0);
    const high1 = mulHigh(M1, c2 >>> 0);
    const low1 = Math.imul(M1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
  return out;
};

/** A seed (a non-negative safe integer) as Philox's two key words. */
export const keyOf = (seed: number): [number, number] => [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];

/**
 * `count` uint32 words: word i%4 of counter [i/4, offset, stream, 0]. The order that `randomBits` is defined by.
 *
 * @throws ArgumentError for anything but integers in range.
 */
export const randomWords = (seed: number, stream: number, offset: number, count: number): Uint32Array => {
  checkedAddress("randomWords", { seed, stream, offset });
  expectCount("randomWords", count);
  const blocks = Math.ceil(count / 4);
  const words = new Uint32Array(blocks * 4);
  const key = keyOf(seed);
  for (let b = 0; b < blocks; b++) philox4x32([b, offset, stream, 0], key, words, b * 4);
  return words.subarray(0, count);
};
