import { DataError } from "./errors.js";

/** CIFAR-10: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. */
export const cifar10Classes: readonly string[] = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

/** Per channel, of value / 255 over the 50,000 training images. */
export const cifar10Mean: readonly number[] = [0.4914, 0.48216, 0.44653];
export const cifar10Std: readonly number[] = [0.24703, 0.24349, 0.26159];

/** Bytes of one image: red, green and blue plane of 32x32, row-major. */
export const cifar10ImageSize = 3072;
const recordSize = 1 + cifar10ImageSize;

/** Labels and images as they lie in files: no claim that the labels fit any list of classes but CIFAR-10's. */
export interface LabelledBytes {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly count: number;
}

/** @throws DataError (data-corrupt) for a label above 9 */
const expectLabels = (labels: ArrayLike<number>): void => {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as number;
    if (!Number.isInteger(label) || label < 0 || label >= cifar10Classes.length)
      throw new DataError("data-corrupt", `CIFAR-10: label of record ${i} is ${label}, expected 0 to 9`);
  }
};

/**
 * Reads the binary layout (`data_batch_1.bin`): records of 1 label byte and 3072 image bytes.
 * @throws DataError (data-corrupt) for a size that is no multiple of a record, or a label above 9
 */
export const parseCifar10Binary = (bytes: Uint8Array): LabelledBytes => {
  if (bytes.length === 0 || bytes.length % recordSize !== 0)
    throw new DataError(
      "data-corrupt",
      `CIFAR-10: ${bytes.length} bytes, expected a positive multiple of ${recordSize} (one record)`,
    );
  const count = bytes.length / recordSize;
  const images = new Uint8Array(count * cifar10ImageSize);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const begin = i * recordSize;
    labels[i] = bytes[begin] as number;
    images.set(bytes.subarray(begin + 1, begin + recordSize), i * cifar10ImageSize);
  }
  expectLabels(labels);
  return { images, labels, count };
};

/** The inverse of `parseCifar10Binary`. @throws DataError (data-corrupt) where sizes or labels do not fit */
export const cifar10Binary = (images: Uint8Array, labels: ArrayLike<number>): Uint8Array => {
  if (images.length !== labels.length * cifar10ImageSize)
    throw new DataError(
      "data-corrupt",
      `CIFAR-10: ${images.length} image bytes for ${labels.length} labels, expected ${cifar10ImageSize} a label`,
    );
  expectLabels(labels);
  const bytes = new Uint8Array(labels.length * recordSize);
  for (let i = 0; i < labels.length; i++) {
    bytes[i * recordSize] = labels[i] as number;
    bytes.set(images.subarray(i * cifar10ImageSize, (i + 1) * cifar10ImageSize), i * recordSize + 1);
  }
  return bytes;
};
