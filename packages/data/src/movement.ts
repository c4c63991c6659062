/** Flip and crop: every pixel of an image shows another one of it, or black. */
import type { AugmentOptions, DrawAddress } from "./augment.js";
import { lookUp } from "./normalize.js";
import { drawsFor, streams, uniformInteger } from "./streams.js";

export interface Geometry {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Which source row and column each row and column of the image shows; -1 is black. */
export interface Movement {
  readonly rows: Int32Array;
  readonly columns: Int32Array;
  /** Columns from `begin` up to `end` show neighbours in the source, in this direction. */
  readonly run: { readonly begin: number; readonly end: number; readonly step: 1 | -1 };
}

/** Every pixel shows itself. */
export const noMovement = ({ height, width }: Geometry): Movement => ({
  rows: Int32Array.from({ length: height }, (_, y) => y),
  columns: Int32Array.from({ length: width }, (_, x) => x),
  run: { begin: 0, end: width, step: 1 },
});

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

/**
 * What flip and crop do to an image, by its index; undefined where neither is on. There are few different movements, so
 * each is worked out once.
 */
export const movementsBy = (
  { flip = "none", crop }: AugmentOptions,
  { height, width }: Geometry,
  address: DrawAddress,
): ((index: number) => Movement) | undefined => {
  if (flip === "none" && crop === undefined) return undefined;
  const { padding = 0, mode = "reflect" } = crop ?? {};
  const made = new Map<number, Movement>();
  const make = (flipped: boolean, down: number, right: number): Movement => {
    const step = flipped ? -1 : 1;
    return {
      rows: sourcePositions(height, down, mode, false),
      columns: sourcePositions(width, right, mode, flipped),
      run:
        Math.abs(right) < width
          ? { begin: Math.max(0, -right), end: Math.min(width, width - right), step }
          : { begin: 0, end: 0, step },
    };
  };
  return (index) => {
    const flipped = isFlipped(flip, address, index);
    const [down, right] = crop === undefined ? [0, 0] : cropOffsets(padding, address, index);
    const key = 2 * ((down + padding) * (2 * padding + 1) + right + padding) + Number(flipped);
    const known = made.get(key);
    if (known) return known;
    const movement = make(flipped, down, right);
    made.set(key, movement);
    return movement;
  };
};

/** Writes the moved image over a target that is black. */
export const moveImage = (
  { rows, columns }: Movement,
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  { channels, height, width }: Geometry,
): void => {
  const plane = height * width;
  for (let channel = 0, out = to; channel < channels; channel++) {
    for (let y = 0; y < height; y++, out += width) {
      const row = rows[y] as number;
      if (row < 0) continue;
      const base = from + channel * plane + row * width;
      for (let x = 0; x < width; x++) {
        const column = columns[x] as number;
        if (column >= 0) target[out + x] = source[base + column] as number;
      }
    }
  }
};

/** Sum of table[byte] over the pixels of a moved plane. */
export const sumMoved = (
  { rows, columns }: Movement,
  table: Uint8ClampedArray,
  source: Uint8Array,
  from: number,
  { width }: Geometry,
): number => {
  const black = table[0] as number;
  let sum = 0;
  for (const row of rows)
    for (const column of columns)
      sum += row < 0 || column < 0 ? black : (table[source[from + row * width + column] as number] as number);
  return sum;
};

/** Columns from `begin` up to `end` of a row, each by itself. */
const lookUpEach = (
  table: Float32Array,
  source: Uint8Array,
  row: number,
  columns: Int32Array,
  target: Float32Array,
  to: number,
  begin: number,
  end: number,
): void => {
  for (let x = begin; x < end; x++) {
    const column = columns[x] as number;
    target[to + x] = table[column < 0 ? 0 : (source[row + column] as number)] as number;
  }
};

/** `moveImage` and the normalization by `tables` in one pass. */
export const moveNormalized = (
  { rows, columns, run: { begin, end, step } }: Movement,
  tables: readonly Float32Array[],
  source: Uint8Array,
  from: number,
  target: Float32Array,
  to: number,
  { channels, height, width }: Geometry,
): void => {
  const plane = height * width;
  const first = columns[begin] as number;
  for (let channel = 0, out = to; channel < channels; channel++) {
    const table = tables[channel] as Float32Array;
    for (let y = 0; y < height; y++, out += width) {
      const row = rows[y] as number;
      if (row < 0) {
        target.fill(table[0] as number, out, out + width);
        continue;
      }
      const base = from + channel * plane + row * width;
      lookUpEach(table, source, base, columns, target, out, 0, begin);
      lookUp(table, source, base + first, step, target, out + begin, end - begin);
      lookUpEach(table, source, base, columns, target, out, end, width);
    }
  }
};
