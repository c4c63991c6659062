/** Code that visits the windows of a pool over a plane, four at a time where they lie inside of it. */
import type { PoolAttrs, Shape, Window2d } from "@striate/core/backend";
import { type Expr, f32, f32x4, i32, type V128, v128 } from "../assembler/instructions.js";
import type { FunctionBody, Local } from "../assembler/module.js";

/** Windows along one axis. Those from `first` to below `end` lie inside of the image. */
interface WindowAxis {
  readonly size: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
  readonly first: number;
  readonly end: number;
}

export interface Windows {
  readonly rows: WindowAxis;
  readonly columns: WindowAxis;
}

const windowAxis = (
  { kernel, stride, dilation, padding }: Window2d,
  axis: 0 | 1,
  size: number,
  outputs: number,
): WindowAxis => {
  const [k, s, d, before, after] = [
    kernel[axis],
    stride[axis],
    dilation[axis],
    padding[2 * axis],
    padding[2 * axis + 1],
  ];
  const geometry = {
    size,
    outputs,
    kernel: k,
    stride: s,
    dilation: d,
    before: before as number,
    after: after as number,
  };
  const first = Math.min(outputs, Math.ceil(geometry.before / s));
  const inside = Math.floor((size - 1 - (k - 1) * d + geometry.before) / s) + 1;
  return { ...geometry, first, end: Math.max(first, Math.min(outputs, inside)) };
};

/** Windows of a pool over the last two axes of `image`. */
export const poolWindows = (attrs: PoolAttrs, image: Shape, output: Shape): Windows => {
  const [height, width, oh, ow] = [...image.slice(-2), ...output.slice(-2)] as [number, number, number, number];
  return { rows: windowAxis(attrs, 0, height, oh), columns: windowAxis(attrs, 1, width, ow) };
};

/** An axis that is left as it is: a window for each element. */
export const oneByOne = (size: number): WindowAxis => ({
  size,
  outputs: size,
  kernel: 1,
  stride: 1,
  dilation: 1,
  before: 0,
  after: 0,
  first: 0,
  end: size,
});

/** What part of a window lies over the image, along one axis, in elements of the kernel; numbers where known now. */
interface Clip<N> {
  readonly from: N;
  readonly to: N;
  /** Elements up to the end of the padding: what an average that counts the padding divides by. */
  readonly padded: N;
}

type Known = number | Local<"i32">;

const clipNow = ({ size, kernel, stride, dilation, before, after }: WindowAxis, output: number): Clip<number> => {
  const start = output * stride - before;
  return {
    from: Math.max(0, Math.ceil(-start / dilation)),
    to: Math.min(kernel, Math.ceil((size - start) / dilation)),
    padded: Math.min(kernel, Math.ceil((size + after - start) / dilation)),
  };
};

/** For an output that is known at run time only. */
export const clipLater = (b: FunctionBody, axis: WindowAxis, output: Local<"i32">): Clip<Local<"i32">> => {
  const { size, kernel, stride, dilation, before, after } = axis;
  const start = b.let(i32.sub(i32.mul(output, stride), before));
  const steps = (distance: number): Local<"i32"> => {
    const count = b.let(i32.divU(i32.sub(distance + dilation - 1, start), dilation));
    b.if(i32.gtU(count, kernel), () => b.set(count, i32.const(kernel)));
    return count;
  };
  const from = b.let(i32.const(0));
  b.if(i32.ltS(start, 0), () => b.set(from, i32.divU(i32.sub(dilation - 1, start), dilation)));
  return { from, to: steps(size), padded: steps(size + after) };
};

/** One window, or four neighbours that lie inside along the row, over the part of their rows inside the image. */
export interface Place {
  readonly lanes: 1 | 4;
  /** Address of the plane's element under column 0 of the (first) window, in the first row of the window over the image. */
  readonly pointer: Local<"i32">;
  /** Bytes to add to `pointer`. Together, they may lie before the row: only columns of `columns` are to be read. */
  readonly offset: number;
  /** Where that element is in its plane. */
  position(): Expr<"i32">;
  /** Rows of the window over the image. */
  readonly rows: Known;
  /** Columns of the window over the image. */
  readonly columns: { readonly from: Known; readonly to: Known };
  /** Bytes from the start of the plane of outputs. */
  readonly output: Local<"i32">;
  readonly outputOffset: number;
  /** What an average divides by. */
  divisor(countIncludePad: boolean): Expr<"f32">;
}

/** Window elements that may be written out one after another; more of them become loops. */
const UNROLLED_ELEMENTS = 36;
const UNROLLED_COLUMNS = 16;
/** Elements of windows that are not visited by fours. */
const UNROLLED_SINGLES = 96;

const asExpr = (value: Known): Expr<"i32"> => (typeof value === "number" ? i32.const(value) : value);

const quotient = (rows: Known, columns: Known): Expr<"f32"> =>
  typeof rows === "number" && typeof columns === "number"
    ? f32.const(Math.max(1, rows * columns))
    : f32.max(f32.const(1), f32.convertI32S(i32.mul(asExpr(rows), asExpr(columns))));

const difference = (b: FunctionBody, to: Known, from: Known): Known =>
  typeof to === "number" && typeof from === "number"
    ? Math.max(0, to - from)
    : b.let(i32.sub(asExpr(to), asExpr(from)));

/** Visits every window over a plane once; with `overlap`, some twice, so that more of them are visited by fours. */
export const forWindows = (
  b: FunctionBody,
  { rows, columns }: Windows,
  plane: Local<"i32">,
  overlap: boolean,
  visit: (place: Place) => void,
): void => {
  const inside = columns.end - columns.first;
  const vectors = inside < 4 ? 0 : overlap ? Math.ceil(inside / 4) : Math.floor(inside / 4);
  const vectorEnd = columns.first + Math.min(inside, vectors * 4);

  const visitRow = (row: Local<"i32">, position: Local<"i32">, rowCount: Known, rowPadded: Known): void => {
    const pointer = b.let(i32.add(plane, i32.shl(position, 2)));
    const output = b.let(i32.mul(row, columns.outputs * 4));
    const shiftOf = (column: Local<"i32">): Local<"i32"> =>
      b.let(i32.sub(i32.mul(column, columns.stride), columns.before));
    /** At an output's column, `shift` elements from the start of the row. */
    const visitAt = (lanes: 1 | 4, column: Known, shift: Known, clip: Clip<Known>): void => {
      const [at, to] = [pointer, output].map((base, k) => {
        const elements = k === 0 ? shift : column;
        return typeof elements === "number" ? base : b.let(i32.add(base, i32.shl(elements, 2)));
      }) as [Local<"i32">, Local<"i32">];
      visit({
        lanes,
        pointer: at,
        offset: typeof shift === "number" ? 4 * shift : 0,
        position: () => i32.add(position, shift),
        rows: rowCount,
        columns: clip,
        output: to,
        outputOffset: typeof column === "number" ? 4 * column : 0,
        divisor: (padding) =>
          padding ? quotient(rowPadded, clip.padded) : quotient(rowCount, difference(b, clip.to, clip.from)),
      });
    };

    if (vectors > 0)
      b.for(
        columns.first,
        vectorEnd,
        4,
        (index) => {
          const column = b.let(index);
          if (inside % 4 !== 0 && overlap)
            b.if(i32.gtU(column, vectorEnd - 4), () => b.set(column, i32.const(vectorEnd - 4)));
          const { kernel } = columns;
          visitAt(4, column, shiftOf(column), { from: 0, to: kernel, padded: kernel });
        },
        { atLeastOnce: true },
      );

    const rowsWritten = typeof rowCount === "number" && rowCount * columns.kernel <= UNROLLED_ELEMENTS ? rowCount : 1;
    const singles = columns.outputs - vectorEnd + columns.first;
    const few = singles * Math.min(columns.kernel, UNROLLED_COLUMNS) * rowsWritten <= UNROLLED_SINGLES;
    for (const [from, to] of [
      [0, columns.first],
      [vectorEnd, columns.outputs],
    ] as const) {
      if (few)
        for (let column = from; column < to; column++)
          visitAt(1, column, column * columns.stride - columns.before, clipNow(columns, column));
      else b.for(from, to, 1, (column) => visitAt(1, column, shiftOf(column), clipLater(b, columns, column)));
    }
  };

  const insideRow = (row: Local<"i32">): void => {
    const position = b.let(i32.mul(i32.sub(i32.mul(row, rows.stride), rows.before), columns.size));
    visitRow(row, position, rows.kernel, rows.kernel);
  };
  const borderRow = (row: Local<"i32">): void => {
    const clip = clipLater(b, rows, row);
    const start = i32.sub(i32.mul(row, rows.stride), rows.before);
    const position = b.let(i32.mul(i32.add(start, i32.mul(clip.from, rows.dilation)), columns.size));
    visitRow(row, position, difference(b, clip.to, clip.from), clip.padded);
  };
  b.for(
    0,
    rows.outputs,
    1,
    (row) => {
      if (rows.first === rows.end) borderRow(row);
      else if (rows.end - rows.first === rows.outputs) insideRow(row);
      else
        b.if(
          i32.ltU(i32.sub(row, rows.first), rows.end - rows.first),
          () => insideRow(row),
          () => borderRow(row),
        );
    },
    { atLeastOnce: true },
  );
};

/** One element of a window, or of four windows. */
export interface Element {
  readonly pointer: Local<"i32">;
  readonly offset: number;
  /** As many lanes as the place has windows; the others of a single window repeat it. */
  value(): V128;
  /** Whether it is known to be the first of its window. */
  readonly first: boolean;
}

/** Whether the rows of a window are written out one by one. */
const unrollsRows = (place: Place): boolean =>
  typeof place.rows === "number" &&
  typeof place.columns.from === "number" &&
  typeof place.columns.to === "number" &&
  place.rows * (place.columns.to - place.columns.from) <= UNROLLED_ELEMENTS;

/** Calls `visit` with each row of a window: where its column 0 is. `next` stands between rows. */
export const forWindowRows = (
  b: FunctionBody,
  { rows, columns }: Windows,
  place: Place,
  visit: (pointer: Local<"i32">, offset: number, first: boolean) => void,
  next: () => void = () => {},
): void => {
  const stride = 4 * rows.dilation * columns.size;
  if (unrollsRows(place)) {
    for (let r = 0; r < (place.rows as number); r++) {
      visit(place.pointer, place.offset + r * stride, r === 0);
      next();
    }
    return;
  }
  const pointer = b.let(place.pointer);
  b.for(0, asExpr(place.rows), 1, () => {
    visit(pointer, place.offset, false);
    next();
    b.increment(pointer, stride);
  });
};

/** Four elements, one under each of four neighbouring windows. */
const gatherFour = (pointer: Local<"i32">, offset: number, step: number): V128 =>
  [1, 2, 3].reduce(
    (vector, i) => f32x4.replaceLane(vector, i, f32.load(pointer, offset + 4 * i * step)),
    f32x4.splat(f32.load(pointer, offset)),
  );

/** Calls `visit` with each element in a row of a window. `next` stands between elements. */
export const forWindowColumns = (
  b: FunctionBody,
  { columns: { stride, dilation } }: Windows,
  place: Place,
  pointer: Local<"i32">,
  offset: number,
  first: boolean,
  visit: (element: Element) => void,
  next: () => void = () => {},
): void => {
  const { lanes, columns } = place;
  const value = (from: Local<"i32">, at: number): V128 => {
    if (lanes === 1) return v128.load32Splat(from, at);
    if (stride === 1) return v128.load(from, at);
    return gatherFour(from, at, stride);
  };
  const { from, to } = columns;
  if (typeof from === "number" && typeof to === "number" && to - from <= UNROLLED_COLUMNS) {
    let pair: readonly [Local<"v128">, Local<"v128">] | undefined;
    for (let j = from; j < to; j++) {
      const at = offset + 4 * j * dilation;
      // Columns 2j and 2j + 1 of windows two apart are the even and the odd elements of the same two vectors.
      const paired = lanes === 4 && stride === 2 && dilation === 1;
      if (paired && (j - from) % 2 === 0) pair = [b.let(v128.load(pointer, at)), b.let(v128.load(pointer, at + 16))];
      const [low, high] = pair ?? [];
      visit({
        pointer,
        offset: at,
        first: first && j === from,
        value: () =>
          paired && low && high
            ? v128.shuffle(low, high, (j - from) % 2 === 0 ? [0, 2, 4, 6] : [1, 3, 5, 7])
            : value(pointer, at),
      });
      next();
    }
    return;
  }
  // An offset of an instruction must not be negative.
  const moving = b.let(i32.add(i32.add(pointer, offset), i32.mul(asExpr(from), 4 * dilation)));
  b.for(asExpr(from), asExpr(to), 1, () => {
    visit({ pointer: moving, offset: 0, first: false, value: () => value(moving, 0) });
    next();
    b.increment(moving, 4 * dilation);
  });
};
