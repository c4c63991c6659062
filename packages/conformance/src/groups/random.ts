import { dropout, permutation, philox4x32, rand, randn, randomBits, randomWords, scope, tensor } from "@striate/core";
import type { Case, Context } from "../case.js";
import { check } from "../failure.js";

const randomCase = (name: string, run: (context: Context) => Promise<void>): Case => ({
  id: `random:${name}`,
  group: "random",
  run: async (context) => {
    await run(context);
    return undefined;
  },
});

type Words = readonly [number, number, number, number];

/** Random123's kat_vectors for philox4x32 with ten rounds. */
const knownAnswers: readonly {
  readonly counter: Words;
  readonly key: readonly [number, number];
  readonly answer: Words;
}[] = [
  { counter: [0, 0, 0, 0], key: [0, 0], answer: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    answer: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    answer: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
];

const hex = (words: ArrayLike<number>): string =>
  Array.from(words, (word) => word.toString(16).padStart(8, "0")).join(" ");

/** Addresses with every field beyond 0, beyond 16 and beyond 32 bits where that is legal. */
const addresses = [
  { seed: 0, stream: 0, offset: 0 },
  { seed: 1, stream: 0, offset: 0 },
  { seed: 20240229, stream: 7, offset: 65537 },
  { seed: 2 ** 32, stream: 0, offset: 0 },
  { seed: 2 ** 53 - 1, stream: 2 ** 32 - 1, offset: 2 ** 32 - 1 },
] as const;

const bitsCase = (shape: readonly number[]): Case =>
  randomCase(`random-bits/${shape.join("x") || "scalar"}`, async ({ backend }) => {
    const count = shape.reduce((a, b) => a * b, 1);
    for (const address of addresses) {
      const bits = randomBits(shape, { backend, ...address });
      const actual = await bits.data();
      bits.dispose();
      const expected = Int32Array.from(
        randomWords(address.seed, address.stream, address.offset, count),
        (word) => word >>> 8,
      );
      const wrong = expected.findIndex((value, i) => value !== actual[i]);
      check(
        wrong < 0,
        () => `element ${wrong} at ${JSON.stringify(address)} is ${actual[wrong]}, expected ${expected[wrong]}`,
      );
    }
  });

export const randomCases = (): Case[] => [
  randomCase("philox-known-answers", async () => {
    for (const { counter, key, answer } of knownAnswers) {
      const actual = philox4x32(counter, key);
      check(
        hex(actual) === hex(answer),
        () => `counter ${hex(counter)}, key ${hex(key)} gives ${hex(actual)}, expected ${hex(answer)}`,
      );
    }
  }),
  ...[[], [1], [3], [4], [5], [63], [64], [65], [7, 13], [2, 3, 5, 7]].map(bitsCase),
  bitsCase([100_003]),
  randomCase("random-bits/zero-size", async ({ backend }) => {
    const bits = randomBits([0, 3], { backend, seed: 1 });
    const data = await bits.data();
    bits.dispose();
    check(data.length === 0, `${data.length} elements`);
  }),
  randomCase("dropout-mask", async ({ backend }) => {
    const count = 1031;
    const x = tensor(new Float32Array(count).fill(1), { backend });
    for (const p of [0.1, 0.5, 0.75]) {
      const y = scope(() => dropout(x, { p, seed: 99, stream: 2, offset: 5 }));
      const data = await y.data();
      y.dispose();
      const words = randomWords(99, 2, 5, count);
      const limit = Math.round((1 - p) * 2 ** 24);
      const wrong = words.findIndex((word, i) => (data[i] !== 0) !== word >>> 8 < limit);
      check(
        wrong < 0,
        () =>
          `p = ${p}: element ${wrong} is ${data[wrong]}, its bits ${(words[wrong] as number) >>> 8} against ${limit}`,
      );
    }
    x.dispose();
  }),
  randomCase("rand", async ({ backend }) => {
    const x = rand([513], { backend, seed: 3, stream: 1 });
    const data = await x.data();
    x.dispose();
    const words = randomWords(3, 1, 0, 513);
    const wrong = words.findIndex((word, i) => data[i] !== (word >>> 8) * 2 ** -24);
    check(
      wrong < 0,
      () => `element ${wrong} is ${data[wrong]}, expected ${((words[wrong] as number) >>> 8) * 2 ** -24}`,
    );
  }),
  randomCase("randn", async ({ backend }) => {
    const draw = async (): Promise<Float64Array> => {
      const x = randn([4096], { backend, seed: 11 });
      const data = Float64Array.from(await x.data());
      x.dispose();
      return data;
    };
    const [first, second] = [await draw(), await draw()];
    check(
      first.every((value, i) => Object.is(value, second[i])),
      "the same address gave other numbers",
    );
    const mean = first.reduce((a, b) => a + b, 0) / first.length;
    const variance = first.reduce((a, b) => a + (b - mean) ** 2, 0) / first.length;
    // Five standard errors of the mean and of the variance of 4096 normal draws.
    check(Math.abs(mean) < 5 / 64, `the mean of 4096 is ${mean}`);
    check(Math.abs(variance - 1) < (5 * Math.SQRT2) / 64, `the variance of 4096 is ${variance}`);
  }),
  randomCase("permutation", async () => {
    const order = permutation(1000, { seed: 5 });
    check(new Set(order).size === 1000 && Math.min(...order) === 0 && Math.max(...order) === 999, "not a permutation");
    const again = permutation(1000, { seed: 5 });
    const other = permutation(1000, { seed: 6 });
    check(
      order.every((value, i) => value === again[i]),
      "the same seed gave another order",
    );
    check(
      order.some((value, i) => value !== other[i]),
      "another seed gave the same order",
    );
  }),
];
