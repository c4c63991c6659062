/** Images of one's own on their way into a dataset: planes of bytes, resized and cropped. */
import { ArgumentError } from "@striate/core";
import { expectCount } from "./arguments.js";

export interface Picture {
  /** One byte a value, plane by plane, each row-major: CHW. */
  readonly pixels: Uint8Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export interface PictureSize {
  readonly height: number;
  readonly width: number;
}

const expectPicture = (op: string, { pixels, channels, height, width }: Picture): void => {
  for (const [argument, value] of Object.entries({ channels, height, width })) expectCount(op, argument, value, 1);
  if (pixels.length !== channels * height * width)
    throw new ArgumentError(
      `${op}: ${pixels.length} bytes, expected ${channels} x ${height} x ${width} = ${channels * height * width}`,
    );
};

const expectSize = (op: string, { height, width }: PictureSize): void => {
  expectCount(op, "height", height, 1);
  expectCount(op, "width", width, 1);
};

/** Weights are integers of 22 bits behind the point: 255 times their sum fits in an int32. */
const weightBits = 22;

/** Which inputs one output is made of. */
interface Taps {
  readonly begin: number;
  readonly weights: Int32Array;
}

/** Those outputs of an axis that are wanted: all, or the part that a crop leaves. */
interface Span {
  readonly begin: number;
  readonly length: number;
}

/** A triangle as wide as an output pixel where the image shrinks, and as an input pixel where it grows. */
const tapsOf = (from: number, to: number, wanted: Span): Taps[] => {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: wanted.length }, (_, i) => {
    const centre = (wanted.begin + i + 0.5) * scale;
    const begin = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), from);
    const raw = Array.from({ length: end - begin }, (_, i) =>
      Math.max(1 - Math.abs((begin + i - centre + 0.5) / reach), 0),
    );
    const sum = raw.reduce((a, b) => a + b, 0);
    return { begin, weights: Int32Array.from(raw, (weight) => Math.trunc(0.5 + (weight / sum) * 2 ** weightBits)) };
  });
};

/** Lines of values `step` apart, which begin `stride` apart. */
interface Lines {
  readonly length: number;
  readonly step: number;
  readonly stride: number;
}

/** One axis: `count` lines in each of the planes. */
const resizeAxis = (
  pixels: Uint8Array,
  planes: number,
  from: Lines,
  to: Lines,
  count: number,
  taps: readonly Taps[],
): Uint8Array => {
  const result = new Uint8Array(planes * count * to.length);
  for (let plane = 0; plane < planes; plane++)
    for (let line = 0; line < count; line++) {
      const source = plane * count * from.length + line * from.stride;
      const target = plane * count * to.length + line * to.stride;
      for (let out = 0; out < to.length; out++) {
        const { begin, weights } = taps[out] as Taps;
        let sum = 2 ** (weightBits - 1);
        for (let i = 0, at = source + begin * from.step; i < weights.length; i++, at += from.step)
          sum += (pixels[at] as number) * (weights[i] as number);
        // The weights' own rounding may take the sum past 255.
        result[target + out * to.step] = Math.min(sum >> weightBits, 255);
      }
    }
  return result;
};

const isWhole = ({ begin, length }: Span, of: number): boolean => begin === 0 && length === of;

/** Rows `begin` up to `end` of every plane. */
const rowsOf = ({ pixels, channels, height, width }: Picture, begin: number, end: number): Picture => {
  const part = new Uint8Array(channels * (end - begin) * width);
  for (let channel = 0; channel < channels; channel++) {
    const plane = channel * height * width;
    part.set(pixels.subarray(plane + begin * width, plane + end * width), channel * (end - begin) * width);
  }
  return { pixels: part, channels, height: end - begin, width };
};

/** The rows and columns that are wanted of a picture resized to `size`; no others are worked out. */
const resizePart = (picture: Picture, size: PictureSize, rows: Span, columns: Span): Picture => {
  const { channels } = picture;
  let { pixels, height, width } = picture;
  let rowTaps: readonly Taps[] | undefined;
  if (height !== size.height || !isWhole(rows, height)) {
    rowTaps = tapsOf(height, size.height, rows);
    const first = (rowTaps[0] as Taps).begin;
    const last = rowTaps.at(-1) as Taps;
    const end = last.begin + last.weights.length;
    if (first > 0 || end < height) {
      ({ pixels, height } = rowsOf(picture, first, end));
      rowTaps = rowTaps.map(({ begin, weights }) => ({ begin: begin - first, weights }));
    }
  }
  if (width !== size.width || !isWhole(columns, width)) {
    const taps = tapsOf(width, size.width, columns);
    const lines = (length: number): Lines => ({ length, step: 1, stride: length });
    pixels = resizeAxis(pixels, channels, lines(width), lines(columns.length), height, taps);
    width = columns.length;
  }
  if (rowTaps) {
    const lines = (length: number): Lines => ({ length, step: width, stride: 1 });
    pixels = resizeAxis(pixels, channels, lines(height), lines(rows.length), width, rowTaps);
  }
  return { pixels, channels, height: rows.length, width: columns.length };
};

/**
 * Bilinear with antialiasing (each output averages all inputs that it covers), width first: the bytes of Pillow's
 * BILINEAR, and so of torchvision's Resize on its images.
 * @throws ArgumentError for sizes below 1 or a picture whose bytes do not fit its size
 */
export const resizeImage = (picture: Picture, size: PictureSize): Picture => {
  expectPicture("resizeImage", picture);
  expectSize("resizeImage", size);
  const { height, width } = size;
  return resizePart(picture, size, { begin: 0, length: height }, { begin: 0, length: width });
};

/** Halves go to the even number, as Python rounds. */
const roundHalf = (doubled: number): number => {
  const down = Math.floor(doubled / 2);
  return doubled % 2 === 0 ? down : down + (down % 2);
};

/** The middle of a picture, as torchvision's CenterCrop. @throws ArgumentError for one that is smaller */
export const centreCrop = (picture: Picture, size: PictureSize): Picture => {
  expectPicture("centreCrop", picture);
  expectSize("centreCrop", size);
  const { pixels, channels, height, width } = picture;
  if (size.height > height || size.width > width)
    throw new ArgumentError(
      `centreCrop: the picture is ${height}x${width}, expected at least ${size.height}x${size.width}`,
    );
  const [top, left] = [roundHalf(height - size.height), roundHalf(width - size.width)];
  const result = new Uint8Array(channels * size.height * size.width);
  for (let row = 0; row < channels * size.height; row++) {
    const [channel, y] = [Math.floor(row / size.height), row % size.height];
    const begin = (channel * height + top + y) * width + left;
    result.set(pixels.subarray(begin, begin + size.width), row * size.width);
  }
  return { pixels: result, channels, ...size };
};

/**
 * Shrinks or enlarges a picture until it just covers `size` (a number: a square) and takes its middle: nothing is
 * distorted, what sticks out is lost. torchvision's Resize and CenterCrop; but what is lost is not worked out first, so
 * that a strip of 1 x 1,000,000 pixels is no burden.
 * @throws as `resizeImage`
 */
export const fitImage = (picture: Picture, size: number | PictureSize): Picture => {
  const target = typeof size === "number" ? { height: size, width: size } : size;
  expectPicture("fitImage", picture);
  expectSize("fitImage", target);
  const { height, width } = picture;
  const cover =
    target.height * width >= target.width * height
      ? { height: target.height, width: Math.floor((target.height * width) / height) }
      : { height: Math.floor((target.width * height) / width), width: target.width };
  const middle = (of: number, length: number): Span => ({ begin: roundHalf(of - length), length });
  return resizePart(picture, cover, middle(cover.height, target.height), middle(cover.width, target.width));
};
