/** Pictures of numbers: weights, gradients, feature maps. They are small; pages enlarge them without smoothing. */
import { Buffer } from "node:buffer";
import { encode } from "fast-png";

/** RGBA, row by row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export const toPng = ({ width, height, data }: Picture): Uint8Array =>
  encode({ width, height, data, channels: 4, depth: 8 });

/** For `src` of an image. */
export const toDataUrl = (picture: Picture): string =>
  `data:image/png;base64,${Buffer.from(toPng(picture)).toString("base64")}`;

/** Writes the colour of element `at` of a map to `data` from `to` on. */
type Paint = (at: number, data: Uint8Array, to: number) => void;

interface Tile {
  readonly width: number;
  readonly height: number;
  readonly paint: Paint;
}

/** Between tiles, transparent. */
const gap = 1;
/** Tiles are made so large at least, that the gaps are narrow beside them. */
const leastTile = 12;

/** Tiles of one size, side by side in rows of `columns`. */
const tiled = (tiles: readonly Tile[], columns: number): Picture => {
  const [first] = tiles as readonly [Tile];
  const scale = tiles.length === 1 ? 1 : Math.max(1, Math.round(leastTile / Math.max(first.width, first.height)));
  const tileWidth = scale * first.width;
  const tileHeight = scale * first.height;
  const width = columns * (tileWidth + gap) - gap;
  const height = Math.ceil(tiles.length / columns) * (tileHeight + gap) - gap;
  const data = new Uint8Array(4 * width * height);
  tiles.forEach((tile, i) => {
    const left = (i % columns) * (tileWidth + gap);
    const top = Math.floor(i / columns) * (tileHeight + gap);
    for (let y = 0; y < tileHeight; y++)
      for (let x = 0; x < tileWidth; x++) {
        const to = 4 * ((top + y) * width + left + x);
        tile.paint(Math.floor(y / scale) * tile.width + Math.floor(x / scale), data, to);
        data[to + 3] = 255;
      }
  });
  return { width, height, data };
};

type Numbers = Float32Array | Float64Array;
type Color = readonly [number, number, number];

const byte = (share: number): number => Math.round(255 * Math.min(1, Math.max(0, share)));

/** Stops of viridis (S. van der Walt, N. Smith; CC0), evenly spaced. */
const viridis: readonly Color[] = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];
/** Negative, zero, positive. */
const diverging: readonly Color[] = [
  [33, 102, 172],
  [146, 197, 222],
  [247, 247, 247],
  [244, 165, 130],
  [178, 24, 43],
];

/** What is not finite is shown as nothing else is. */
const strange: Color = [255, 0, 255];

const colorAt = (stops: readonly Color[], share: number): Color => {
  if (!Number.isFinite(share)) return strange;
  const place = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const below = Math.min(Math.floor(place), stops.length - 2);
  const [a, b] = [stops[below] as Color, stops[below + 1] as Color];
  const mixed = a.map((from, i) => Math.round(from + (place - below) * ((b[i] as number) - from)));
  return mixed as unknown as Color;
};

interface Range {
  readonly min: number;
  readonly max: number;
}

/** Of the finite values; 0 to 0 where there is none. */
const rangeOf = (values: Numbers): Range => {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return min <= max ? { min, max } : { min: 0, max: 0 };
};

const magnitudeOf = (values: Numbers): number => {
  const { min, max } = rangeOf(values);
  return Math.max(-min, max);
};

const signedTile = (values: Numbers, width: number, height: number): Tile => {
  const scale = magnitudeOf(values) || 1;
  return {
    width,
    height,
    paint: (at, data, to) => data.set(colorAt(diverging, 0.5 + 0.5 * ((values[at] as number) / scale)), to),
  };
};

const mapTile = (values: Numbers, width: number, height: number): Tile => {
  const { min, max } = rangeOf(values);
  const spread = max - min || 1;
  return {
    width,
    height,
    paint: (at, data, to) => data.set(colorAt(viridis, ((values[at] as number) - min) / spread), to),
  };
};

/** Three planes as red, green and blue; 0 is grey. */
const colorTile = (values: Numbers, width: number, height: number): Tile => {
  const scale = magnitudeOf(values) || 1;
  const plane = width * height;
  return {
    width,
    height,
    paint: (at, data, to) => {
      for (let c = 0; c < 3; c++) data[to + c] = byte(0.5 + 0.5 * ((values[c * plane + at] as number) / scale));
    },
  };
};

/** About as wide as high, or twice. */
const columnsFor = (count: number): number => Math.min(count, Math.max(4, Math.ceil(Math.sqrt(2 * count))));

export interface WeightPictureOptions {
  /** Size of the images that the network sees: rows of a fully connected layer of that many inputs are pictures too. */
  readonly image?: { readonly channels: number; readonly height: number; readonly width: number };
  /** Filters, or inputs of a filter, beyond it are left out. */
  readonly most?: number;
}

export interface WeightPicture {
  readonly picture: Picture;
  /** What a tile is, for a caption. */
  readonly tiles: "filters" | "units" | "kernels" | "matrix";
  readonly shown: number;
  readonly of: number;
}

/**
 * Weights or gradients, [out, in, height, width] or [out, in], row-major. Filters over three channels are in colour
 * with 0 in grey, over others a row of kernels each; units that see a whole image as images; else the matrix.
 * Each tile has its own scale. Undefined for other shapes.
 */
export const weightPicture = (
  shape: readonly number[],
  values: Numbers,
  { image, most = 64 }: WeightPictureOptions = {},
): WeightPicture | undefined => {
  const [out = 0, inputs = 0, height = 0, width = 0] = shape;
  const shown = Math.min(out, most);
  if (values.length === 0) return undefined;
  if (shape.length === 2) {
    if (image && image.channels === 3 && inputs === 3 * image.height * image.width) {
      const tiles = Array.from({ length: shown }, (_, i) =>
        colorTile(values.subarray(i * inputs, (i + 1) * inputs), image.width, image.height),
      );
      return { picture: tiled(tiles, columnsFor(shown)), tiles: "units", shown, of: out };
    }
    const columns = Math.min(inputs, 4 * most);
    const part = new Float32Array(shown * columns);
    for (let i = 0; i < shown; i++) part.set(values.subarray(i * inputs, i * inputs + columns), i * columns);
    return { picture: tiled([signedTile(part, columns, shown)], 1), tiles: "matrix", shown, of: out };
  }
  if (shape.length !== 4) return undefined;
  const size = inputs * height * width;
  if (inputs === 3) {
    const tiles = Array.from({ length: shown }, (_, i) =>
      colorTile(values.subarray(i * size, (i + 1) * size), width, height),
    );
    return { picture: tiled(tiles, columnsFor(shown)), tiles: "filters", shown, of: out };
  }
  const rows = Math.min(out, Math.ceil(most / 4));
  const columns = Math.min(inputs, Math.ceil(most / 2));
  const plane = height * width;
  const tiles = Array.from({ length: rows * columns }, (_, i) => {
    const at = Math.floor(i / columns) * size + (i % columns) * plane;
    return signedTile(values.subarray(at, at + plane), width, height);
  });
  return { picture: tiled(tiles, columns), tiles: "kernels", shown: rows, of: out };
};

/** What a layer made of one image: [channels, height, width], or [units] as one strip. Each map has its own scale. */
export const activationPicture = (
  shape: readonly number[],
  values: Numbers,
  most = 64,
): { readonly picture: Picture; readonly shown: number; readonly of: number } | undefined => {
  if (values.length === 0) return undefined;
  if (shape.length === 1) {
    const columns = Math.min(64, values.length);
    const rows = Math.ceil(values.length / columns);
    const padded = new Float32Array(rows * columns).fill(rangeOf(values).min);
    padded.set(values);
    return { picture: tiled([mapTile(padded, columns, rows)], 1), shown: values.length, of: values.length };
  }
  if (shape.length !== 3) return undefined;
  const [channels, height, width] = shape as readonly [number, number, number];
  const shown = Math.min(channels, most);
  const plane = height * width;
  const tiles = Array.from({ length: shown }, (_, c) =>
    mapTile(values.subarray(c * plane, (c + 1) * plane), width, height),
  );
  return { picture: tiled(tiles, columnsFor(shown)), shown, of: channels };
};

interface Images {
  readonly images: Uint8Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** An image of a dataset: of three channels, or of one in grey. */
export const imagePicture = ({ images, channels, height, width }: Images, index: number): Picture => {
  const plane = height * width;
  const begin = index * channels * plane;
  const data = new Uint8Array(4 * plane).fill(255);
  for (let i = 0; i < plane; i++)
    for (let c = 0; c < 3; c++) data[4 * i + c] = images[begin + (channels === 3 ? c : 0) * plane + i] as number;
  return { width, height, data };
};

/** How much each pixel matters: the largest magnitude over the channels of a gradient [channels, height, width]. */
export const saliencyPicture = (shape: readonly [number, number, number], values: Numbers): Picture => {
  const [channels, height, width] = shape;
  const plane = height * width;
  const largest = new Float32Array(plane);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < plane; i++)
      largest[i] = Math.max(largest[i] as number, Math.abs(values[c * plane + i] as number));
  return tiled([mapTile(largest, width, height)], 1);
};
