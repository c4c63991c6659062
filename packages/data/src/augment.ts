import { ArgumentError } from "@striate/core";
import { expectCount, expectNumber, expectSeed } from "./arguments.js";
import type { ImageDataset } from "./dataset.js";
import { imageSize } from "./dataset.js";
import { drawsFor, streams, uniformInteger, uniformNumber } from "./streams.js";

/** Some images of a dataset, copied out, with the places they came from. */
export interface ImageBatch {
  /** One byte a value, NCHW. */
  readonly images: Uint8Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Index of each image in its dataset: what random draws are addressed by. */
  readonly indices: ArrayLike<number>;
}

export interface AugmentOptions {
  /**
   * Left-right: `random` tosses a coin for each image and epoch. `alternating` tosses once for each image and flips it
   * in every other epoch from then on (arXiv 2404.00498), so that each image is seen both ways in two epochs.
   */
  readonly flip?: "none" | "random" | "alternating" | undefined;
  /**
   * Pads every side by `padding` pixels, then cuts the old size out at a random place. `reflect` does not repeat the
   * edge (and so needs a padding below height and width), `zero` pads with black.
   */
  readonly crop?: { readonly padding: number; readonly mode?: "reflect" | "zero" } | undefined;
  /** Multiplies an image by a factor from [1 - brightness, 1 + brightness]. */
  readonly brightness?: number | undefined;
  /** Scales the distance to the image's mean grey by a factor from [1 - contrast, 1 + contrast]. */
  readonly contrast?: number | undefined;
}

/** What the draws are addressed by, besides the index of the image. */
export interface DrawAddress {
  readonly seed: number;
  readonly epoch: number;
}

const flips = ["none", "random", "alternating"] as const;
const cropModes = ["reflect", "zero"] as const;

const expectOneOf = (argument: string, value: string, allowed: readonly string[]): void => {
  if (!allowed.includes(value))
    throw new ArgumentError(`augment: ${argument} is ${JSON.stringify(value)}, expected ${allowed.join(", ")}`);
};

/** @throws ArgumentError for options that do not fit images of this size */
export const expectAugmentOptions = (
  { flip = "none", crop, brightness = 0, contrast = 0 }: AugmentOptions,
  { height, width }: Pick<ImageBatch, "height" | "width">,
): void => {
  expectOneOf("flip", flip, flips);
  if (crop !== undefined) {
    const mode = crop.mode ?? "reflect";
    expectOneOf("crop.mode", mode, cropModes);
    expectCount("augment", "crop.padding", crop.padding, 0);
    if (mode === "reflect" && crop.padding >= Math.min(height, width))
      throw new ArgumentError(
        `augment: crop.padding is ${crop.padding}, expected less than ${Math.min(height, width)} to reflect ${height}x${width} images`,
      );
  }
  expectNumber("augment", "brightness", brightness, 0, 1);
  expectNumber("augment", "contrast", contrast, 0, 1);
};

const isFlipped = (flip: AugmentOptions["flip"], { seed, epoch }: DrawAddress, index: number): boolean => {
  if (flip === undefined || flip === "none") return false;
  const coin = (at: number): boolean => (drawsFor(seed, streams.flip, at, index)[0] as number) >= 2 ** 31;
  return flip === "random" ? coin(epoch) : coin(0) !== (epoch % 2 === 1);
};

/** Offsets of the crop from the unpadded image, each from -padding to padding. */
const cropOffsets = (padding: number, { seed, epoch }: DrawAddress, index: number): [down: number, right: number] => {
  const [first, second] = drawsFor(seed, streams.crop, epoch, index) as unknown as [number, number];
  return [uniformInteger(first, 2 * padding + 1) - padding, uniformInteger(second, 2 * padding + 1) - padding];
};

/** Which of `size` source positions each position shows after a shift; -1 shows black. */
const sourcePositions = (size: number, shift: number, mode: "reflect" | "zero", flipped: boolean): Int32Array => {
  const positions = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    let at = i + shift;
    if (at < 0) at = mode === "reflect" ? -at : -1;
    else if (at >= size) at = mode === "reflect" ? 2 * (size - 1) - at : -1;
    positions[i] = flipped && at >= 0 ? size - 1 - at : at;
  }
  return positions;
};

/** Writes the image at `begin` with its rows and columns taken from other places; position -1 is black. */
const moveImage = (
  source: Uint8Array,
  target: Uint8Array,
  begin: number,
  { channels, height, width }: ImageBatch,
  rows: Int32Array,
  columns: Int32Array,
): void => {
  const plane = height * width;
  for (let from = begin, to = begin; from < begin + channels * plane; from += plane) {
    for (let y = 0; y < height; y++, to += width) {
      const row = rows[y] as number;
      // The target is black already.
      if (row < 0) continue;
      const base = from + row * width;
      for (let x = 0; x < width; x++) {
        const column = columns[x] as number;
        if (column >= 0) target[to + x] = source[base + column] as number;
      }
    }
  }
};

/** Replaces every value by f(value), rounded and kept within 0 to 255. */
const mapValues = (image: Uint8Array, f: (value: number) => number): void => {
  const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => f(value));
  for (let i = 0; i < image.length; i++) image[i] = table[image[i] as number] as number;
};

/** Mean luma (ITU-R BT.601, as torchvision) of a colour image; plain mean for any other number of channels. */
const meanGrey = (image: Uint8Array, channels: number): number => {
  const weights = channels === 3 ? [0.299, 0.587, 0.114] : new Array<number>(channels).fill(1 / channels);
  const plane = image.length / channels;
  let mean = 0;
  weights.forEach((weight, channel) => {
    let sum = 0;
    for (let i = channel * plane; i < (channel + 1) * plane; i++) sum += image[i] as number;
    mean += (weight * sum) / plane;
  });
  return mean;
};

const randomFactor = (amount: number, stream: number, { seed, epoch }: DrawAddress, index: number): number =>
  1 + amount * (2 * uniformNumber(drawsFor(seed, stream, epoch, index)[0] as number) - 1);

/**
 * A changed copy of the images, as training shows them in one epoch. What happens to an image depends on (seed, epoch,
 * its index in the dataset) and on nothing else: not on the batch, the order or what came before.
 * @throws ArgumentError for options that do not fit the images
 */
export const augment = (batch: ImageBatch, options: AugmentOptions, address: DrawAddress): Uint8Array => {
  expectAugmentOptions(options, batch);
  expectSeed("augment", address.seed);
  expectCount("augment", "epoch", address.epoch, 0, 2 ** 32 - 1);
  const { flip, crop, brightness = 0, contrast = 0 } = options;
  const { height, width, indices } = batch;
  const size = imageSize(batch);
  if (batch.images.length !== indices.length * size)
    throw new ArgumentError(
      `augment: ${batch.images.length} image bytes for ${indices.length} indices, expected ${size} each`,
    );
  const images = new Uint8Array(batch.images.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    const flipped = isFlipped(flip, address, index);
    const [down, right] = crop === undefined ? [0, 0] : cropOffsets(crop.padding, address, index);
    const mode = crop?.mode ?? "reflect";
    const rows = sourcePositions(height, down, mode, false);
    const columns = sourcePositions(width, right, mode, flipped);
    moveImage(batch.images, images, i * size, batch, rows, columns);
    const image = images.subarray(i * size, (i + 1) * size);
    if (brightness > 0) {
      const factor = randomFactor(brightness, streams.brightness, address, index);
      mapValues(image, (value) => value * factor);
    }
    if (contrast > 0) {
      const factor = randomFactor(contrast, streams.contrast, address, index);
      const grey = meanGrey(image, batch.channels);
      mapValues(image, (value) => grey + factor * (value - grey));
    }
  }
  return images;
};

/** Mean and standard deviation of value / 255, per channel. */
export type Normalization = Pick<ImageDataset, "mean" | "std">;

/**
 * (value / 255 - mean) / std, channel by channel, worked out in float64 and rounded once; into `out` where it is given.
 * @throws ArgumentError unless there is a mean and a positive std for each channel, and `out` is of the images' size
 */
export const normalize = (
  batch: Pick<ImageBatch, "images" | "channels" | "height" | "width">,
  { mean, std }: Normalization,
  out?: Float32Array,
): Float32Array => {
  const { images, channels, height, width } = batch;
  expectNormalization({ mean, std }, channels);
  if (out !== undefined && out.length !== images.length)
    throw new ArgumentError(`normalize: out has ${out.length} values, expected ${images.length}`);
  const plane = height * width;
  const tables = mean.map((m, channel) =>
    Float32Array.from({ length: 256 }, (_, value) => (value / 255 - m) / (std[channel] as number)),
  );
  const values = out ?? new Float32Array(images.length);
  for (let begin = 0, channel = 0; begin < images.length; begin += plane, channel = (channel + 1) % channels) {
    const table = tables[channel] as Float32Array;
    const end = begin + plane;
    for (let i = begin; i < end; i++) values[i] = table[images[i] as number] as number;
  }
  return values;
};

/** @throws ArgumentError unless there is a finite mean and a positive std for each channel */
export const expectNormalization = ({ mean, std }: Normalization, channels: number): void => {
  if (mean.length !== channels || !mean.every(Number.isFinite))
    throw new ArgumentError(`normalize: mean is [${mean}], expected ${channels} finite numbers`);
  if (std.length !== channels || !std.every((s) => Number.isFinite(s) && s > 0))
    throw new ArgumentError(`normalize: std is [${std}], expected ${channels} positive numbers`);
};
