import { keyOf, philox4x32 } from "@striate/core";

/**
 * Philox streams, one for each use, so that switching one augmentation on leaves the draws of the others as they were.
 * Callers count their own streams up from 0; these stay out of their way.
 */
export const streams = {
  shuffle: 0xda7a0000,
  split: 0xda7a0001,
  flip: 0xda7a0002,
  crop: 0xda7a0003,
  brightness: 0xda7a0004,
  contrast: 0xda7a0005,
  pattern: 0xda7a0006,
  sample: 0xda7a0007,
  testSample: 0xda7a0008,
  cutout: 0xda7a0009,
  erasing: 0xda7a000a,
  lighting: 0xda7a000b,
  mix: 0xda7a000c,
} as const;

/**
 * The four uint32 that image `index` gets in `epoch`: words 4·index and on of core's randomWords(seed, stream, epoch).
 * Further blocks, for what needs more, are Philox's with that number in the counter's last word. A function of its
 * arguments alone, so that neither batch order nor a restart changes what is drawn.
 */
export const drawsFor = (seed: number, stream: number, epoch: number, index: number, block = 0): Uint32Array =>
  philox4x32([index, epoch, stream, block], keyOf(seed));

/** A word as an integer from 0 to n - 1. n is far below 2^21, so the product is exact and the bias below n / 2^32. */
export const uniformInteger = (word: number, n: number): number => Math.floor((word * n) / 2 ** 32);

/** A word as a number in [0, 1). */
export const uniformNumber = (word: number): number => word / 2 ** 32;

/** Two words as two independent standard normal numbers, by core's formula (Box and Muller 1958). */
export const normalPair = (first: number, second: number): readonly [number, number] => {
  const radius = Math.sqrt(-2 * Math.log((first + 0.5) / 2 ** 32));
  const angle = 2 * Math.PI * ((second + 0.5) / 2 ** 32);
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
};
