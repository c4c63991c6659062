import { defineOp, dispatch } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { IndexError, ShapeError } from "../errors.js";
import { formatShape, sameShape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";

type Image = readonly [images: number, channels: number, height: number, width: number];

/** Of a table: one for each byte. */
const entries = 256;

const rule = defineOp({
  name: "remapLookUp",
  inputs: ["x", "rows", "columns", "table"],
  // Without a gradient of its own: bytes have none, and the table's comes through `gather`, which is fast enough for it.
  decompose: ([x, rows, columns, table], _attrs, [output]) => {
    const [image, row, column, values] = [x, rows, columns, table] as [Tensor, Tensor, Tensor, Tensor];
    const [n, c, h, w] = (output as { shape: readonly number[] }).shape as Image;
    // In front of each axis stands a black place: there -1 points, and what is below it stays outside.
    const framed = image.pad({ before: [0, 0, 1, 1], after: [0, 0, 0, 0] });
    const across = row.add(1).reshape([n, 1, h, 1]);
    const along = column.add(1).reshape([n, 1, 1, w]);
    const bytes = framed
      .gather(2, across.expand([n, c, h, framed.shape[3] as number]))
      .gather(3, along.expand([n, c, h, w]));
    const tables = values.expand([n, c, entries]).reshape([n * c, entries]);
    return [tables.gather(1, bytes.cast("int32").reshape([n * c, h * w])).reshape([n, c, h, w])];
  },
});

export interface RemapLookUpOptions {
  /** int32 [N, h]: the row of x that each row of the result shows, image by image; -1 is black. */
  readonly rows: Tensor;
  /** int32 [N, w]: likewise its columns. */
  readonly columns: Tensor;
  /** float [N, C, 256]: what each byte becomes, in each image and channel; N may be 1. Black is what 0 becomes. */
  readonly table: Tensor;
}

/**
 * Bytes become floats, and move on the way: y[n, c, i, j] = table[n, c, x[n, c, rows[n, i], columns[n, j]]] for x
 * uint8 [N, C, H, W]; y is [N, C, h, w]. Flips, crops, changes of colour and the normalization of images in one pass, which
 * computes nothing and so gives the same bits everywhere. (OpenCV: `remap` with whole rows and columns, then `LUT`.)
 *
 * @throws ShapeError, DTypeError, IndexError for a row or column below -1 or outside x (at the latest when the result is
 * read).
 */
export const remapLookUp = (x: Tensor, { rows, columns, table }: RemapLookUpOptions): Tensor => {
  const indices = Object.entries({ rows, columns });
  expectDType("remapLookUp", "x", x.dtype, ["uint8"]);
  for (const [name, index] of indices) expectDType("remapLookUp", name, index.dtype, ["int32"]);
  expectDType("remapLookUp", "table", table.dtype, floatDTypes);
  if (x.rank !== 4) throw new ShapeError(`remapLookUp: x is ${formatShape(x.shape)}, expected [N, C, H, W]`);
  const [n, c] = x.shape as Image;
  for (const [name, { rank, shape }] of indices)
    if (rank !== 2 || shape[0] !== n)
      throw new ShapeError(`remapLookUp: ${name} is ${formatShape(shape)}, expected [${n}, …] for ${n} images`);
  if (!sameShape(table.shape, [n, c, entries]) && !sameShape(table.shape, [1, c, entries]))
    throw new ShapeError(
      `remapLookUp: table is ${formatShape(table.shape)}, expected [${n}, ${c}, ${entries}] or [1, ${c}, ${entries}]`,
    );
  const shape = [n, c, rows.shape[1] as number, columns.shape[1] as number];
  if (x.size === 0 && sizeOf(shape) > 0)
    throw new IndexError(`remapLookUp: x of shape ${formatShape(x.shape)} has no elements to index`);
  return dispatch(rule, [x, rows, columns, table], {}, { shape, dtype: table.dtype });
};
