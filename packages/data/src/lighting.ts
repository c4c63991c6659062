/** Colour jitter along the principal components of the colours: A. Krizhevsky et al., 2012, section 4.1. */
import { ArgumentError } from "@striate/core";
import type { DrawAddress } from "./augment.js";
import type { ImageDataset } from "./dataset.js";
import { drawsFor, normalPair, streams } from "./streams.js";

/** Eigenvalues, from the largest, and eigenvectors of the covariance of value / 255 between the channels. */
export interface ColourComponents {
  readonly values: readonly number[];
  /** `vectors[i]` has length 1 and belongs to `values[i]`; its largest entry (by size) is positive. */
  readonly vectors: readonly (readonly number[])[];
}

export interface LightingOptions {
  /** Of the training images: `colourComponents`. */
  readonly components: ColourComponents;
  /** Standard deviation of the factor that each eigenvalue gets. Default 0.1. */
  readonly std?: number | undefined;
}

/** Of all pixels of all images; the sums are exact. */
const colourCovariance = ({ images, count, channels, height, width }: ImageDataset): number[][] => {
  const plane = height * width;
  const sums = new Array<number>(channels).fill(0);
  const products = sums.map(() => new Array<number>(channels).fill(0));
  for (let image = 0; image < count; image++) {
    const begin = image * channels * plane;
    for (let a = 0; a < channels; a++) {
      let sum = 0;
      for (let i = 0, at = begin + a * plane; i < plane; i++, at++) sum += images[at] as number;
      (sums[a] as number) += sum;
      for (let b = a; b < channels; b++) {
        let product = 0;
        const [pa, pb] = [begin + a * plane, begin + b * plane];
        for (let i = 0; i < plane; i++) product += (images[pa + i] as number) * (images[pb + i] as number);
        ((products[a] as number[])[b] as number) += product;
      }
    }
  }
  const n = count * plane;
  return products.map((row, a) =>
    row.map((_, b) => {
      const product = products[Math.min(a, b)]?.[Math.max(a, b)] as number;
      return (product / n - ((sums[a] as number) / n) * ((sums[b] as number) / n)) / 255 ** 2;
    }),
  );
};

/** Sweeps over all pairs; a handful of channels needs fewer than ten. */
const maxSweeps = 50;

/** Jacobi's rotations: eigenvalues and, as columns, eigenvectors of a symmetric matrix. */
const eigen = (symmetric: readonly (readonly number[])[]): { values: number[]; vectors: number[][] } => {
  const n = symmetric.length;
  const a = symmetric.map((row) => Float64Array.from(row));
  const v = a.map((_, i) => Float64Array.from({ length: n }, (_, j) => Number(i === j)));
  const get = (m: Float64Array[], i: number, j: number): number => m[i]?.[j] as number;
  const set = (m: Float64Array[], i: number, j: number, value: number): void => {
    (m[i] as Float64Array)[j] = value;
  };
  for (let sweep = 0; sweep < maxSweeps; sweep++) {
    let rest = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rest += get(a, p, q) ** 2;
    if (rest === 0) break;
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        if (get(a, p, q) === 0) continue;
        const theta = (get(a, q, q) - get(a, p, p)) / (2 * get(a, p, q));
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        const rotate = (m: Float64Array[], i: number, j: number, k: number, l: number): void => {
          const [x, y] = [get(m, i, j), get(m, k, l)];
          set(m, i, j, c * x - s * y);
          set(m, k, l, s * x + c * y);
        };
        for (let i = 0; i < n; i++) rotate(a, i, p, i, q);
        for (let i = 0; i < n; i++) rotate(a, p, i, q, i);
        for (let i = 0; i < n; i++) rotate(v, i, p, i, q);
        set(a, p, q, 0);
        set(a, q, p, 0);
      }
  }
  return {
    values: a.map((row, i) => row[i] as number),
    vectors: a.map((_, j) => v.map((row) => row[j] as number)),
  };
};

/** @throws ArgumentError where there are no images */
export const colourComponents = (dataset: ImageDataset): ColourComponents => {
  if (dataset.count < 1) throw new ArgumentError("colourComponents: there are no images");
  const { values, vectors } = eigen(colourCovariance(dataset));
  const order = values.map((_, i) => i).sort((i, j) => (values[j] as number) - (values[i] as number));
  return {
    // Rounding may leave a hair below 0 where the channels depend on each other.
    values: order.map((i) => Math.max(values[i] as number, 0)),
    vectors: order.map((i) => {
      const vector = vectors[i] as number[];
      const largest = vector.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
      return largest < 0 ? vector.map((x) => -x) : vector;
    }),
  };
};

/** What is added to the values, from 0 to 255, of each channel of image `index`: Σ factor · eigenvalue · eigenvector. */
export const colourShift = (
  { components: { values, vectors }, std = 0.1 }: LightingOptions,
  { seed, epoch }: DrawAddress,
  index: number,
): number[] => {
  const shift = new Array<number>(values.length).fill(0);
  values.forEach((value, i) => {
    const words = drawsFor(seed, streams.lighting, epoch, index, Math.floor(i / 4));
    const pair = normalPair(words[(i % 4) & 2] as number, words[(i % 4) | 1] as number);
    const amount = 255 * std * (pair[i % 2] as number) * value;
    (vectors[i] as readonly number[]).forEach((entry, channel) => {
      (shift[channel] as number) += amount * entry;
    });
  });
  return shift;
};
