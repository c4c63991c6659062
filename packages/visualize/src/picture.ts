import { ArgumentError } from "@striate/core";
import { encode } from "fast-png";

/** Eight bits a value, row by row, the channels of a pixel side by side: what PNG holds and a canvas shows. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Grey or RGB. */
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** The bytes of a PNG file. fast-png encodes, because it is plain JavaScript and so works in a browser too. */
export const encodePng = ({ width, height, channels, data }: Picture): Uint8Array =>
  encode({ width, height, channels, data, depth: 8 });

/** Numbers as an image: planes one after another, as a tensor [channels, height, width] has them. */
export interface Planes {
  readonly values: ArrayLike<number>;
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
}

export interface Range {
  /** Shown black. */
  readonly low: number;
  /** Shown white. */
  readonly high: number;
}

/** Smallest and largest of the finite values; 0 and 0 if there is none. */
export const rangeOf = (values: ArrayLike<number>): Range => {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? { low, high } : { low: 0, high: 0 };
};

/** From -m to m, m the largest magnitude: zero is shown as middle grey. */
export const symmetricRange = (values: ArrayLike<number>): Range => {
  const { low, high } = rangeOf(values);
  const most = Math.max(Math.abs(low), Math.abs(high));
  return { low: -most, high: most };
};

/**
 * A picture of numbers, on a scale from `low` to `high` (default: the values' own range); what lies outside is cut off.
 * Where the scale has no length everything is middle grey. NaN is black.
 *
 * @throws ArgumentError if there are not channels · height · width values
 */
export const toPicture = ({ values, channels, height, width }: Planes, range: Range = rangeOf(values)): Picture => {
  const plane = height * width;
  if (values.length !== channels * plane)
    throw new ArgumentError(`toPicture: ${values.length} values, expected ${channels} · ${height} · ${width}`);
  const { low, high } = range;
  const data = new Uint8Array(values.length);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < plane; i++) {
      const share = high > low ? ((values[c * plane + i] as number) - low) / (high - low) : 0.5;
      data[i * channels + c] = Math.round(255 * Math.min(Math.max(share, 0), 1));
    }
  return { width, height, channels, data };
};

/** Every pixel becomes a square of `factor` pixels. @throws ArgumentError unless `factor` is a positive integer */
export const enlarge = ({ width, height, channels, data }: Picture, factor: number): Picture => {
  if (!(Number.isInteger(factor) && factor > 0))
    throw new ArgumentError(`enlarge: factor is ${factor}, expected a positive integer`);
  const larger = new Uint8Array(data.length * factor * factor);
  const row = width * factor;
  for (let y = 0; y < height * factor; y++)
    for (let x = 0; x < row; x++) {
      const from = (Math.floor(y / factor) * width + Math.floor(x / factor)) * channels;
      for (let c = 0; c < channels; c++) larger[(y * row + x) * channels + c] = data[from + c] as number;
    }
  return { width: row, height: height * factor, channels, data: larger };
};

export interface GridOptions {
  /** Default: as many as make the grid about square. */
  readonly columns?: number | undefined;
  /** Pixels between neighbours and around all. Default 1. */
  readonly gap?: number | undefined;
  /** Grey level of the gaps, 0 to 255. Default 255. */
  readonly background?: number | undefined;
}

/** Pictures side by side, row by row. @throws ArgumentError if there is none, their sizes differ, or for bad options */
export const grid = (pictures: readonly Picture[], options: GridOptions = {}): Picture => {
  const [first] = pictures;
  if (!first) throw new ArgumentError("grid: expected at least one picture");
  const { columns = Math.ceil(Math.sqrt(pictures.length)), gap = 1, background = 255 } = options;
  for (const [name, value, least] of [
    ["columns", columns, 1],
    ["gap", gap, 0],
  ] as const)
    if (!(Number.isSafeInteger(value) && value >= least))
      throw new ArgumentError(`grid: ${name} is ${value}, expected an integer of at least ${least}`);
  const { width: w, height: h, channels } = first;
  const width = columns * (w + gap) + gap;
  const height = Math.ceil(pictures.length / columns) * (h + gap) + gap;
  const data = new Uint8Array(width * height * channels).fill(background);
  pictures.forEach((picture, i) => {
    if (picture.width !== w || picture.height !== h || picture.channels !== channels)
      throw new ArgumentError(
        `grid: picture ${i} is ${picture.width}x${picture.height}x${picture.channels}, the first ${w}x${h}x${channels}`,
      );
    const left = gap + (i % columns) * (w + gap);
    const top = gap + Math.floor(i / columns) * (h + gap);
    for (let y = 0; y < h; y++) {
      const row = picture.data.subarray(y * w * channels, (y + 1) * w * channels);
      data.set(row, ((top + y) * width + left) * channels);
    }
  });
  return { width, height, channels, data };
};

/** Blue through white to red, by share from 0 to 1: red is what shall be noticed. */
const heat = (share: number): readonly [number, number, number] => {
  const t = Math.min(Math.max(share, 0), 1);
  const ramp = (at: number): number => Math.min(Math.max(1.5 - Math.abs(4 * t - at), 0), 1);
  return [ramp(3), ramp(2), ramp(1)];
};

export interface HeatMap {
  /** Row by row. */
  readonly values: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
}

/** The two neighbours between which each of `to` pixels lies on an axis of `from` values, and how far along it is. */
const between = (from: number, to: number): { low: number; high: number; share: number }[] =>
  Array.from({ length: to }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const low = Math.floor(at);
    return { low, high: Math.min(low + 1, from - 1), share: at - low };
  });

/**
 * A picture with a heat map laid over it, brought to its size bilinearly: blue where the map is lowest, red where it is
 * highest.
 *
 * @param opacity of the heat map, 0 to 1. Default 0.5.
 * @throws ArgumentError if the map does not have height · width values, or none, or for a bad opacity
 */
export const overlay = (picture: Picture, map: HeatMap, opacity = 0.5): Picture => {
  const { width, height, channels, data } = picture;
  if (map.values.length !== map.height * map.width || map.values.length === 0)
    throw new ArgumentError(`overlay: the map has ${map.values.length} values, expected ${map.height} · ${map.width}`);
  if (!(opacity >= 0 && opacity <= 1)) throw new ArgumentError(`overlay: opacity is ${opacity}, expected 0 to 1`);
  const { low, high } = rangeOf(map.values);
  const rows = between(map.height, height);
  const columns = between(map.width, width);
  const at = (row: number, column: number): number => map.values[row * map.width + column] as number;
  const mixed = new Uint8Array(width * height * 3);
  rows.forEach((y, i) => {
    columns.forEach((x, j) => {
      const above = at(y.low, x.low) * (1 - x.share) + at(y.low, x.high) * x.share;
      const below = at(y.high, x.low) * (1 - x.share) + at(y.high, x.high) * x.share;
      const value = above * (1 - y.share) + below * y.share;
      const pixel = i * width + j;
      heat(high > low ? (value - low) / (high - low) : 0).forEach((colour, c) => {
        const under = data[pixel * channels + (channels === 3 ? c : 0)] as number;
        mixed[3 * pixel + c] = Math.round((1 - opacity) * under + opacity * 255 * colour);
      });
    });
  });
  return { width, height, channels: 3, data: mixed };
};
