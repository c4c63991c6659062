import { ArgumentError } from "@striate/core";
import { expectCount, expectNumber, expectSeed } from "./arguments.js";
import { changesColour, colourTables } from "./colour.js";
import type { ImageDataset } from "./dataset.js";
import { imageSize } from "./dataset.js";
import type { CutoutOptions, ErasingOptions } from "./erasing.js";
import { erasedRectangles, fillRectangle } from "./erasing.js";
import type { LightingOptions } from "./lighting.js";
import { moveImage, movementsBy, moveNormalized } from "./movement.js";
import { normalizeInto } from "./normalize.js";

/** Some images of a dataset, copied out, with the places they came from. */
export interface ImageBatch {
  /** One byte a value, NCHW. */
  readonly images: Uint8Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Index of each image in its dataset: what random draws are addressed by. */
  readonly indices: ArrayLike<number>;
  /** The dataset's, of value / 255 per channel: the colour that erased pixels show. Default: black. */
  readonly mean?: readonly number[] | undefined;
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
  /** Adds a random share of the colours' principal components. */
  readonly lighting?: LightingOptions | undefined;
  /** Erases a square. */
  readonly cutout?: CutoutOptions | undefined;
  /** Erases a rectangle of random size, from some images. */
  readonly erasing?: ErasingOptions | undefined;
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

/** @throws ArgumentError unless 0 <= least <= most <= limit, and above 0 where `positive` */
const expectRange = (argument: string, [least, most]: readonly [number, number], positive: boolean, limit: number) => {
  if (!(least >= 0 && least <= most && most <= limit) || (positive && least === 0))
    throw new ArgumentError(
      `augment: ${argument} is [${least}, ${most}], expected two ${positive ? "positive numbers" : `numbers from 0 to ${limit}`}, the lesser first`,
    );
};

const expectLighting = ({ components: { values, vectors }, std = 0.1 }: LightingOptions, channels: number): void => {
  expectNumber("augment", "lighting.std", std, 0, Number.MAX_VALUE);
  const fits = (list: readonly number[]): boolean => list.length === channels && list.every(Number.isFinite);
  if (!fits(values) || vectors.length !== channels || !vectors.every(fits))
    throw new ArgumentError(
      `augment: lighting.components has ${values.length} values and ${vectors.length} vectors, expected those of ${channels} channels`,
    );
};

/** @throws ArgumentError for options that do not fit images of this size */
export const expectAugmentOptions = (
  { flip = "none", crop, brightness = 0, contrast = 0, lighting, cutout, erasing }: AugmentOptions,
  { channels, height, width }: Pick<ImageBatch, "channels" | "height" | "width">,
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
  if (lighting) expectLighting(lighting, channels);
  if (cutout) expectCount("augment", "cutout.size", cutout.size, 1);
  if (erasing) {
    expectNumber("augment", "erasing.prob", erasing.prob ?? 0, 0, 1);
    if (erasing.scale) expectRange("erasing.scale", erasing.scale, false, 1);
    if (erasing.ratio) expectRange("erasing.ratio", erasing.ratio, true, Number.MAX_VALUE);
  }
};

/** Bytes of the colour that erased pixels show. */
const erasedColour = ({ mean, channels }: Pick<ImageBatch, "mean" | "channels">): number[] =>
  Array.from({ length: channels }, (_, channel) => Math.round(255 * (mean?.[channel] ?? 0)));

const recolour = (image: Uint8Array, tables: readonly Uint8ClampedArray[]): void => {
  const plane = image.length / tables.length;
  tables.forEach((table, channel) => {
    for (let i = channel * plane; i < (channel + 1) * plane; i++) image[i] = table[image[i] as number] as number;
  });
};

/**
 * A changed copy of the images, as training shows them in one epoch: flipped and cropped, then recoloured, then erased
 * in part. What happens to an image depends on (seed, epoch, its index in the dataset) and on nothing else: not on the
 * batch, the order or what came before.
 * @throws ArgumentError for options that do not fit the images
 */
export const augment = (batch: ImageBatch, options: AugmentOptions, address: DrawAddress): Uint8Array => {
  expectAugmentOptions(options, batch);
  expectSeed("augment", address.seed);
  expectCount("augment", "epoch", address.epoch, 0, 2 ** 32 - 1);
  const { indices } = batch;
  const size = imageSize(batch);
  if (batch.images.length !== indices.length * size)
    throw new ArgumentError(
      `augment: ${batch.images.length} image bytes for ${indices.length} indices, expected ${size} each`,
    );
  const images = new Uint8Array(batch.images.length);
  const movementOf = movementsBy(options, batch, address);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    const target = images.subarray(i * size, (i + 1) * size);
    const image = { source: batch.images, from: i * size, movement: movementOf?.(index) };
    if (image.movement) moveImage(image.movement, image.source, image.from, target, 0, batch);
    else target.set(batch.images.subarray(i * size, (i + 1) * size));
    if (changesColour(options)) recolour(target, colourTables(options, batch, address, index, image));
    for (const rectangle of erasedRectangles(options, batch, address, index))
      fillRectangle(rectangle, target, 0, batch, erasedColour(batch));
  }
  return images;
};

/** What is done to the images of an epoch. */
export interface Augmentation {
  readonly options: AugmentOptions;
  readonly address: DrawAddress;
  readonly movementOf: ReturnType<typeof movementsBy>;
}

/** The options have been checked. */
export const augmentationBy = (options: AugmentOptions, dataset: ImageDataset, address: DrawAddress): Augmentation => ({
  options,
  address,
  movementOf: movementsBy(options, dataset, address),
});

/**
 * What becomes of the bytes of image `index`, channel by channel: the normalization, by `tables`, of its changed colours,
 * written to `own`; `tables` where no colour changes.
 */
export const imageTables = (
  dataset: ImageDataset,
  augmentation: Augmentation | undefined,
  index: number,
  tables: readonly Float32Array[],
  own: readonly Float32Array[],
): readonly Float32Array[] => {
  if (!augmentation || !changesColour(augmentation.options)) return tables;
  const { options, address, movementOf } = augmentation;
  const image = { source: dataset.images, from: index * imageSize(dataset), movement: movementOf?.(index) };
  colourTables(options, dataset, address, index, image).forEach((colours, channel) => {
    const [table, target] = [tables[channel] as Float32Array, own[channel] as Float32Array];
    for (let value = 0; value < 256; value++) target[value] = table[colours[value] as number] as number;
  });
  return own;
};

/**
 * The images at `indices`, augmented and normalized into `target`: the bits of `augment` and `normalize`, in one pass
 * over the dataset's own bytes.
 */
export const showImages = (
  dataset: ImageDataset,
  indices: Int32Array,
  augmentation: Augmentation | undefined,
  tables: readonly Float32Array[],
  target: Float32Array,
): void => {
  const { images, channels, height, width } = dataset;
  const size = imageSize(dataset);
  const colour = erasedColour(dataset).map((value, channel) => tables[channel]?.[value] as number);
  const scratch = tables.map((table) => table.slice());
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    const [from, to] = [index * size, i * size];
    const movement = augmentation?.movementOf?.(index);
    const own = imageTables(dataset, augmentation, index, tables, scratch);
    if (movement) moveNormalized(movement, own, images, from, target, to, dataset);
    else normalizeInto(own, images, from, target, to, height * width, channels);
    if (!augmentation) continue;
    for (const rectangle of erasedRectangles(augmentation.options, dataset, augmentation.address, index))
      fillRectangle(rectangle, target, to, dataset, colour);
  }
};
