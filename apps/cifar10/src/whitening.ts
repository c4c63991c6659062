import type { ImageDataset } from "@striate/data";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";

/** Patches of this many pixels squared, RGB: 12 values. */
const size = 2;
const channels = 3;
const length = channels * size * size;

/**
 * Filters [24, 3, 2, 2] that decorrelate and scale 2x2 patches: the eigenvectors of the patches' (uncentred) covariance,
 * each divided by √(eigenvalue + eps), and their negatives (K. Jordan, arXiv 2404.00498, section 3.2). ml-matrix does
 * the eigendecomposition.
 *
 * @param dataset normalized by its own mean and std; the first `images` images are looked at
 */
export const whiteningFilters = (dataset: ImageDataset, images = 5000, eps = 5e-4): Float32Array => {
  const { height, width, mean, std } = dataset;
  const plane = height * width;
  const count = Math.min(images, dataset.count);
  const tables = mean.map((m, c) => Float64Array.from({ length: 256 }, (_, v) => (v / 255 - m) / (std[c] as number)));
  const sums = new Float64Array(length * length);
  /** Where value k of the first patch of an image lies: channel by channel, row by row. */
  const offsets = Int32Array.from(
    { length },
    (_, k) => Math.floor(k / (size * size)) * plane + (Math.floor(k / size) % size) * width + (k % size),
  );
  const image = new Float64Array(channels * plane);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < plane; p++) {
        const byte = dataset.images[(i * channels + c) * plane + p] as number;
        image[c * plane + p] = (tables[c] as Float64Array)[byte] as number;
      }
    // Pair by pair, patch by patch: a sum in a local variable is several times as fast as one in an array.
    for (let a = 0; a < length; a++)
      for (let b = a; b < length; b++) {
        const [left, right] = [offsets[a] as number, offsets[b] as number];
        let sum = sums[a * length + b] as number;
        for (let y = 0; y + size <= height; y++)
          for (let x = 0; x + size <= width; x++) {
            const at = y * width + x;
            sum += (image[left + at] as number) * (image[right + at] as number);
          }
        sums[a * length + b] = sum;
      }
  }
  const patches = count * (height - size + 1) * (width - size + 1);
  const covariance = new Matrix(length, length);
  for (let a = 0; a < length; a++)
    for (let b = 0; b < length; b++)
      covariance.set(a, b, (sums[Math.min(a, b) * length + Math.max(a, b)] as number) / patches);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const order = realEigenvalues
    .map((_, i) => i)
    .sort((a, b) => (realEigenvalues[b] as number) - (realEigenvalues[a] as number));
  const filters = new Float32Array(2 * length * length);
  order.forEach((column, i) => {
    const scale = 1 / Math.sqrt((realEigenvalues[column] as number) + eps);
    for (let k = 0; k < length; k++) {
      const value = eigenvectorMatrix.get(k, column) * scale;
      filters[i * length + k] = value;
      filters[(length + i) * length + k] = -value;
    }
  });
  return filters;
};
