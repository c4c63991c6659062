/** What the inputs of a sample hold. Values are exact in float32, whatever dtype the sample runs in. */
import { randomWords } from "@striate/core";

export type Generator =
  /** Evenly in [low, high). */
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  /** Either sign, magnitude in [1/4, 2): away from the kinks and poles that sit at 0. */
  | { readonly kind: "away" }
  /** Multiples of 1/64 around 0, never 0, in random order and all different: no ties, no kink within 1/128. */
  | { readonly kind: "distinct" }
  /** low, low + 1 … high. */
  | { readonly kind: "integers"; readonly low: number; readonly high: number }
  /** The list, over and over. */
  | { readonly kind: "cycle"; readonly values: readonly number[] }
  /** Cheap and dull, for millions of elements: (7919·i mod 2039)/1024 - 1. */
  | { readonly kind: "ramp" };

/** FNV-1a, 32 bits, over UTF-8. */
export const fnv1a = (text: string): number => {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
};

/** In [0, 1), 24 bits. */
const unit = (word: number): number => (word >>> 8) * 2 ** -24;

const shuffled = (words: Uint32Array): number[] => {
  const order = Array.from(words, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = (words[i] as number) % (i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
};

/** `count` values. Random ones are Philox words under the key hash(id), stream `input`: the same in every language. */
export const generate = (generator: Generator, id: string, input: number, count: number): Float64Array => {
  const words = (): Uint32Array => randomWords(fnv1a(id), input, 0, count);
  switch (generator.kind) {
    case "uniform": {
      const { low, high } = generator;
      return Float64Array.from(words(), (word) => Math.fround(low + (high - low) * unit(word)));
    }
    case "away":
      return Float64Array.from(words(), (word) => Math.fround((word & 1 ? -1 : 1) * (0.25 + 1.75 * unit(word))));
    case "distinct":
      return Float64Array.from(shuffled(words()), (place) => (place - Math.floor(count / 2) + 0.5) / 64);
    case "integers": {
      const { low, high } = generator;
      return Float64Array.from(words(), (word) => low + Math.floor(unit(word) * (high - low + 1)));
    }
    case "cycle": {
      const { values } = generator;
      return Float64Array.from({ length: count }, (_, i) => values[i % values.length] as number);
    }
    case "ramp": {
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) values[i] = ((7919 * i) % 2039) / 1024 - 1;
      return values;
    }
  }
};
