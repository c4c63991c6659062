/**
 * Images with their padding, copied plane by plane to where a convolution can read whole vectors at every tap: no bounds
 * to check, and for a horizontal stride s the columns sorted by their remainder modulo s, so that the columns that one
 * tap meets at neighbouring outputs are neighbours.
 */
import { f32, type I32Like, i32, v128 } from "../assembler/instructions.js";
import type { FunctionBody, Local } from "../assembler/module.js";

export interface Planes {
  readonly height: number;
  readonly width: number;
  /** Rows of the copy; the image's row 0 is row `top`, which may be negative: then the image is cropped. */
  readonly rows: number;
  readonly top: number;
  readonly left: number;
  /** The horizontal stride. Column x of the padded image is column floor(x / segments) of segment x % segments. */
  readonly segments: number;
  /** Columns of a segment. */
  readonly columns: number;
  /** Elements from plane to plane: not a power of two, or the channels of a pixel would share a few cache lines. */
  readonly elements: number;
}

/** A convolution of such images. */
export interface PaddedConv {
  readonly images: number;
  readonly groups: number;
  /** Of a group. */
  readonly channels: number;
  readonly planes: Planes;
  /** Rows of the padded image from one row of outputs to the next. */
  readonly rowStride: number;
  /** Taps in padded coordinates, in the order of the weights. */
  readonly taps: readonly (readonly [y: number, x: number])[];
  /** Output channels of a group. */
  readonly outputs: number;
}

/** `columns` counts the columns of the padded image. */
export const planesOf = (geometry: {
  readonly height: number;
  readonly width: number;
  readonly rows: number;
  readonly columns: number;
  readonly top: number;
  readonly left: number;
  readonly stride: number;
}): Planes => {
  const { height, width, rows, top, left, stride } = geometry;
  const columns = Math.ceil(geometry.columns / stride);
  const lines = Math.ceil((rows * columns * stride) / 16);
  return {
    height,
    width,
    rows,
    top,
    left,
    segments: stride,
    columns,
    elements: (lines + (lines % 2 === 0 ? 1 : 0)) * 16,
  };
};

/** Where row y, column x of the padded image is in its plane. */
export const elementOf = ({ segments, columns }: Planes, y: number, x: number): number =>
  (y * segments + (x % segments)) * columns + Math.floor(x / segments);

/** The part of segment `segment` that holds image columns: `count` of them from `first`, the image's column `from` the first. */
const segmentPart = (planes: Planes, segment: number): { first: number; count: number; from: number } => {
  const { segments, columns, left, width } = planes;
  const first = Math.max(0, Math.ceil((left - segment) / segments));
  const end = Math.min(columns, Math.floor((width - 1 + left - segment) / segments) + 1);
  return { first, count: Math.max(0, end - first), from: first * segments + segment - left };
};

const rowPart = ({ rows, top, height }: Planes): { first: number; count: number } => {
  const first = Math.max(0, top);
  return { first, count: Math.max(0, Math.min(rows, top + height) - first) };
};

/** Whether there are places that the image does not fill, and that must be zero. */
export const hasPadding = (planes: Planes): boolean => {
  const row = rowPart(planes);
  if (row.first > 0 || row.count < planes.rows) return true;
  for (let segment = 0; segment < planes.segments; segment++)
    if (segmentPart(planes, segment).count < planes.columns) return true;
  return false;
};

/** Beyond, a loop is better than straight code. */
const MAX_UNROLLED_VECTORS = 16;

/** Copies `count` elements, each `step` apart in the source. */
const emitCopyRun = (body: FunctionBody, to: Local<"i32">, from: Local<"i32">, count: number, step: number): void => {
  const vectors = step <= 2 ? Math.floor(count / 4) : 0;
  const vector = (source: Local<"i32">, offset: number) => {
    if (step === 1) return v128.load(source, offset);
    return v128.shuffle(v128.load(source, 2 * offset), v128.load(source, 2 * offset + 16), [0, 2, 4, 6]);
  };
  let done = 0;
  if (vectors > 0 && vectors <= MAX_UNROLLED_VECTORS) {
    for (let v = 0; v < vectors; v++) body.do(v128.store(to, vector(from, 16 * v), 16 * v));
    done = 4 * vectors;
  } else if (vectors > 0) {
    const source = body.let(from);
    const target = body.let(to);
    body.for(
      0,
      vectors,
      1,
      () => {
        body.do(v128.store(target, vector(source, 0)));
        body.increment(source, 16 * step);
        body.increment(target, 16);
      },
      { atLeastOnce: true },
    );
    done = 4 * vectors;
  }
  if (count - done <= 4) for (let i = done; i < count; i++) body.do(f32.store(to, f32.load(from, 4 * step * i), 4 * i));
  else {
    const source = body.let(i32.add(from, 4 * step * done));
    const target = body.let(i32.add(to, 4 * done));
    body.for(
      done,
      count,
      1,
      () => {
        body.do(f32.store(target, f32.load(source)));
        body.increment(source, 4 * step);
        body.increment(target, 4);
      },
      { atLeastOnce: true },
    );
  }
};

/** Copies `count` rows of an image, one at least, to rows of a padded plane; moves both addresses behind them. */
export const emitCopyRows = (
  body: FunctionBody,
  planes: Planes,
  from: Local<"i32">,
  to: Local<"i32">,
  count: I32Like,
): void => {
  const { segments, columns, width } = planes;
  const parts = Array.from({ length: segments }, (_, segment) => ({ segment, ...segmentPart(planes, segment) }));
  const source = body.local("i32");
  const target = body.local("i32");
  body.for(
    0,
    count,
    1,
    () => {
      for (const { segment, first, count: elements, from: column } of parts) {
        if (elements === 0) continue;
        body.set(source, i32.add(from, column * 4));
        body.set(target, i32.add(to, (segment * columns + first) * 4));
        emitCopyRun(body, target, source, elements, segments);
      }
      body.increment(from, width * 4);
      body.increment(to, segments * columns * 4);
    },
    { atLeastOnce: true },
  );
};

/** Copies one plane of the image into its place; the padding is left as it is. */
export const emitCopyPlane = (body: FunctionBody, planes: Planes, image: Local<"i32">, plane: Local<"i32">): void => {
  const { segments, columns, top, width } = planes;
  const rows = rowPart(planes);
  if (rows.count === 0) return;
  const from = body.let(i32.add(image, (rows.first - top) * width * 4));
  const to = body.let(i32.add(plane, rows.first * segments * columns * 4));
  emitCopyRows(body, planes, from, to, rows.count);
};
