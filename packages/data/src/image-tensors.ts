/** How the images of a batch get to its backend: as floats, or as bytes that become floats there. The bits are the same. */
import { type Backend, remapLookUp, scope, type Tensor, tensor } from "@striate/core";
import { type Augmentation, imageTables, showImages } from "./augment.js";
import { changesColour } from "./colour.js";
import type { ImageDataset } from "./dataset.js";
import { imageSize } from "./dataset.js";
import { type Mixture, mixImages } from "./mix.js";
import { noMovement } from "./movement.js";
import { type Normalization, normalizationTables } from "./normalize.js";

export interface ImageTensorOptions {
  readonly backend: Backend;
  readonly augmentation: Augmentation | undefined;
  readonly normalization: Normalization;
  /** Whether images will be mixed. */
  readonly mixes: boolean;
  /** Most images of a batch. */
  readonly most: number;
}

/** The images at these places, float32 [B, C, H, W]. Its arrays on the host serve every batch: `tensor` copies. */
export type ImageTensors = (indices: Int32Array, mixture: Mixture | undefined) => Tensor;

const fromFloats = (dataset: ImageDataset, options: ImageTensorOptions): ImageTensors => {
  const { backend, augmentation, normalization, most } = options;
  const { channels, height, width } = dataset;
  const tables = normalizationTables(normalization);
  const scratch = new Float32Array(most * imageSize(dataset));
  return (indices, mixture) => {
    const values = scratch.subarray(0, indices.length * imageSize(dataset));
    showImages(dataset, indices, augmentation, tables, values);
    if (mixture) mixImages(values, mixture, dataset);
    return tensor(values, { backend, shape: [indices.length, channels, height, width] });
  };
};

/** Views of the tables that each image has in [images, channels, 256]. */
const tablesIn = (entries: Float32Array, channels: number): Float32Array[][] =>
  Array.from({ length: entries.length / (256 * channels) }, (_, image) =>
    Array.from({ length: channels }, (_, channel) => {
      const begin = 256 * (image * channels + channel);
      return entries.subarray(begin, begin + 256);
    }),
  );

const fromBytes = (dataset: ImageDataset, options: ImageTensorOptions): ImageTensors => {
  const { backend, augmentation, normalization, most } = options;
  const { channels, height, width } = dataset;
  const size = imageSize(dataset);
  const images = new Uint8Array(most * size);
  const rows = new Int32Array(most * height);
  const columns = new Int32Array(most * width);
  const still = noMovement(dataset);
  const tables = normalizationTables(normalization);
  const recolours = augmentation !== undefined && changesColour(augmentation.options);
  const entries = new Float32Array((recolours ? most : 1) * channels * 256);
  const own = tablesIn(entries, channels);
  if (!recolours) tables.forEach((table, channel) => entries.set(table, 256 * channel));

  return (indices) => {
    const count = indices.length;
    for (const [i, index] of indices.entries()) {
      const movement = augmentation?.movementOf?.(index) ?? still;
      images.set(dataset.images.subarray(index * size, (index + 1) * size), i * size);
      rows.set(movement.rows, i * height);
      columns.set(movement.columns, i * width);
      if (recolours) imageTables(dataset, augmentation, index, tables, own[i] as Float32Array[]);
    }
    const upload = (array: Uint8Array | Int32Array | Float32Array, shape: readonly number[]): Tensor => {
      const used = shape.reduce((product, n) => product * n, 1);
      return tensor(array.subarray(0, used), { backend, shape });
    };
    return scope(() =>
      remapLookUp(upload(images, [count, channels, height, width]), {
        rows: upload(rows, [count, height]),
        columns: upload(columns, [count, width]),
        table: upload(entries, [recolours ? count : 1, channels, 256]),
      }),
    );
  };
};

/**
 * As bytes where the backend has a kernel for them: decomposed, the op takes longer than the host. Mixing needs floats, and
 * to erase from bytes they would have to be moved on the host, which takes longer too.
 */
export const imageTensors = (dataset: ImageDataset, options: ImageTensorOptions): ImageTensors => {
  const { backend, augmentation, mixes } = options;
  const { cutout, erasing } = augmentation?.options ?? {};
  const paints = mixes || cutout !== undefined || erasing !== undefined;
  return (backend.kernels.remapLookUp !== undefined && !paints ? fromBytes : fromFloats)(dataset, options);
};
