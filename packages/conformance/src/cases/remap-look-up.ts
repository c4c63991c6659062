import * as core from "@striate/core";
import * as reference from "../reference/movement.js";
import { cycle, defineCases, indices, input, integers, specials, typed } from "../suite.js";
import { moved } from "../tolerance.js";

interface Inputs {
  x: unknown;
  rows: unknown;
  columns: unknown;
  table: unknown;
}

type Shape = readonly number[];
type Spec = ReturnType<typeof input>;

const bytes = (shape: Shape): Spec => typed("uint8", integers(shape, 0, 255));
/** The same for each of `images`. */
const places = (images: number, values: readonly number[]): Spec =>
  typed("int32", cycle([images, values.length], values));
const whole = (extent: number): number[] => Array.from({ length: extent }, (_, i) => i);

const image = bytes([2, 3, 5, 7]);
const table = input([1, 3, 256]);
const everywhere = { x: image, rows: places(2, whole(5)), columns: places(2, whole(7)), table };

export const remapLookUp = defineCases<Inputs>({
  tolerance: moved,
  kernels: ["remapLookUp"],
  run: ({ x, ...options }) => core.remapLookUp(x, options),
  reference: ({ x, rows, columns, table: values }) => reference.remapLookUp(x, rows, columns, values),
  samples: [
    { name: "in-place", inputs: everywhere, attrs: {} },
    { name: "flipped", inputs: { ...everywhere, columns: places(2, whole(7).reverse()) }, attrs: {} },
    {
      name: "crop-zero",
      inputs: { ...everywhere, rows: places(2, [-1, -1, 0, 1, 2]), columns: places(2, [3, 4, 5, 6, -1, -1, -1]) },
      attrs: {},
    },
    {
      name: "crop-reflect",
      inputs: { ...everywhere, rows: places(2, [2, 3, 4, 3, 2]), columns: places(2, [3, 2, 1, 0, 1, 2, 3]) },
      attrs: {},
    },
    { name: "tables", inputs: { ...everywhere, table: input([2, 3, 256]) }, attrs: {} },
    { name: "black", inputs: { ...everywhere, rows: places(2, [-1]), columns: places(2, [0, 1]) }, attrs: {} },
    {
      name: "one-pixel",
      inputs: { x: bytes([1, 1, 1, 1]), rows: places(1, [0]), columns: places(1, [0]), table: input([1, 1, 256]) },
      attrs: {},
    },
    {
      name: "each-its-own",
      inputs: {
        x: bytes([4, 1, 6, 5]),
        rows: indices([4, 9], 6),
        columns: indices([4, 17], 5),
        table: input([4, 1, 256]),
      },
      attrs: {},
    },
    {
      name: "images",
      inputs: {
        x: bytes([24, 3, 32, 32]),
        rows: indices([24, 32], 32),
        columns: places(24, [-1, -1, ...whole(30)]),
        table,
      },
      attrs: {},
      gradient: false,
    },
    {
      name: "special-values",
      inputs: { ...everywhere, table: cycle([2, 3, 256], specials) },
      attrs: {},
      kind: "special",
    },
    {
      name: "no-images",
      inputs: { x: bytes([0, 3, 5, 7]), rows: places(0, whole(5)), columns: places(0, whole(7)), table },
      attrs: {},
      kind: "zero-size",
    },
    { name: "zero-size", inputs: { ...everywhere, columns: places(2, []) }, attrs: {}, kind: "zero-size" },
  ],
  errors: [
    { name: "rank", code: "shape", inputs: { ...everywhere, x: bytes([3, 5, 7]) }, attrs: {} },
    { name: "rows", code: "shape", inputs: { ...everywhere, rows: places(3, whole(5)) }, attrs: {} },
    { name: "columns", code: "shape", inputs: { ...everywhere, columns: indices([7], 7) }, attrs: {} },
    { name: "tables", code: "shape", inputs: { ...everywhere, table: input([3, 3, 256]) }, attrs: {} },
    { name: "table-channels", code: "shape", inputs: { ...everywhere, table: input([1, 2, 256]) }, attrs: {} },
    { name: "table-entries", code: "shape", inputs: { ...everywhere, table: input([1, 3, 255]) }, attrs: {} },
    { name: "float", code: "dtype", inputs: { ...everywhere, x: input([2, 3, 5, 7]) }, attrs: {} },
    { name: "float-rows", code: "dtype", inputs: { ...everywhere, rows: input([2, 5]) }, attrs: {} },
    {
      name: "int-table",
      code: "dtype",
      inputs: { ...everywhere, table: typed("int32", integers([1, 3, 256])) },
      attrs: {},
    },
    { name: "nothing", code: "index", inputs: { ...everywhere, x: bytes([2, 3, 0, 7]) }, attrs: {} },
    ...[-2, 5].map((row) => ({
      name: row < 0 ? "row-below" : "row-above",
      code: "index" as const,
      inputs: { ...everywhere, rows: places(2, [0, 1, row]) },
      attrs: {},
      deferred: true,
    })),
    ...[-2, 7].map((column) => ({
      name: column < 0 ? "column-below" : "column-above",
      code: "index" as const,
      inputs: { ...everywhere, columns: places(2, [0, column]) },
      attrs: {},
      deferred: true,
    })),
  ],
});
