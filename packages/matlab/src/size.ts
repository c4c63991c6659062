/** What goes through a network from layer to layer, and the geometry of windows over it. */
import { ArgumentError } from "@striate/core";

/** [height width channels], in MATLAB's order; behind a fully connected layer 1 by 1. */
export interface Size {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Vectors, [N, channels], and no longer images. */
  readonly flat: boolean;
}

/** One number for both directions, or [vertical horizontal]. */
export type Pair = number | readonly [number, number];

/** Zeros around the image: all sides, [vertical horizontal], [top bottom left right], or as many as "same" takes. */
export type Padding = Pair | readonly [number, number, number, number] | "same";

export type Sides = readonly [top: number, bottom: number, left: number, right: number];

export const pairOf = (value: Pair): readonly [number, number] => (typeof value === "number" ? [value, value] : value);

export const formatSize = ({ height, width, channels }: Size): string => `${height}x${width}x${channels}`;

/** @throws ArgumentError unless all are integers of at least `least`. */
export const expectIntegers = (layer: string, values: Readonly<Record<string, unknown>>, least: number): void => {
  for (const [name, value] of Object.entries(values))
    if (![value].flat().every((n) => Number.isSafeInteger(n) && (n as number) >= least))
      throw new ArgumentError(`${layer}: ${name} is ${JSON.stringify(value)}, expected integers of at least ${least}`);
};

/** @throws ArgumentError unless all are finite numbers of at least 0. */
export const expectNonNegative = (layer: string, values: Readonly<Record<string, number>>): void => {
  for (const [name, value] of Object.entries(values))
    if (!(value >= 0 && Number.isFinite(value)))
      throw new ArgumentError(`${layer}: ${name} is ${value}, expected a finite number of at least 0`);
};

interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: Padding;
}

/** "same": ceil(n / stride) windows, and an odd zero behind. */
const sameSides = (n: number, kernel: number, stride: number, dilation: number): [number, number] => {
  const total = Math.max((Math.ceil(n / stride) - 1) * stride + dilation * (kernel - 1) + 1 - n, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
};

const sidesOf = (padding: Exclude<Padding, "same">): Sides => {
  if (typeof padding === "number") return [padding, padding, padding, padding];
  return padding.length === 2 ? [padding[0], padding[0], padding[1], padding[1]] : padding;
};

/** The padding in numbers, and what comes out. @throws ArgumentError where no window fits, or for what is no image. */
export const slide = (
  layer: string,
  { height, width, channels, flat }: Size,
  { kernel, stride, dilation, padding }: Window,
): { readonly sides: Sides; readonly height: number; readonly width: number } => {
  if (flat)
    throw new ArgumentError(
      `${layer}: its input is a vector of ${channels}, expected an image; no window slides over it`,
    );
  if (typeof padding === "string" && padding !== "same")
    throw new ArgumentError(`${layer}: Padding is ${JSON.stringify(padding)}, expected integers or "same"`);
  expectIntegers(layer, { Stride: stride, DilationFactor: dilation }, 1);
  const [[kh, kw], [sh, sw], [dh, dw]] = [pairOf(kernel), pairOf(stride), pairOf(dilation)];
  const sides: Sides =
    padding === "same" ? [...sameSides(height, kh, sh, dh), ...sameSides(width, kw, sw, dw)] : sidesOf(padding);
  expectIntegers(layer, { Padding: sides }, 0);
  const along = (n: number, k: number, s: number, d: number, before: number, after: number): number =>
    Math.floor((n + before + after - d * (k - 1) - 1) / s) + 1;
  const size = {
    height: along(height, kh, sh, dh, sides[0], sides[1]),
    width: along(width, kw, sw, dw, sides[2], sides[3]),
  };
  if (size.height < 1 || size.width < 1)
    throw new ArgumentError(`${layer}: a window of [${kh}, ${kw}] does not fit into ${height}x${width}`);
  return { sides, ...size };
};
