import { type HostArray, IndexError, type Shape, sizeOf } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, tensor } from "../testing/compare.js";
import { randomNumbers } from "../testing/random.js";
import { remapLookUpKernels } from "./remap-look-up.js";

const { run } = await createComparison(remapLookUpKernels);

type Inputs = readonly [x: HostTensor, rows: HostTensor, columns: HostTensor, table: HostTensor];

/** As bits, by the definition. */
const defined = ([x, rows, columns, table]: Inputs): number[] => {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const entries = new Uint32Array(table.data.buffer);
  const [oh, ow] = [rows.shape[1] as number, columns.shape[1] as number];
  const y: number[] = [];
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < c; channel++)
      for (let i = 0; i < oh; i++)
        for (let j = 0; j < ow; j++) {
          const row = rows.data[image * oh + i] as number;
          const column = columns.data[image * ow + j] as number;
          const black = row === -1 || column === -1;
          const byte = black ? 0 : (x.data[((image * c + channel) * h + row) * w + column] as number);
          const own = table.shape[0] === 1 ? channel : image * c + channel;
          y.push(entries[256 * own + byte] as number);
        }
  return y;
};

const call = (inputs: Inputs): HostArray => {
  const [x, rows, columns] = inputs;
  const shape = [...x.shape.slice(0, 2), rows.shape[1] as number, columns.shape[1] as number];
  return run("remapLookUp", inputs, [{ shape, dtype: "float32" }], {})[0] as HostArray;
};

const check = (inputs: Inputs): void => {
  const bits = new Uint32Array(call(inputs).buffer);
  const wanted = defined(inputs);
  expect(bits.length).toBe(wanted.length);
  expect(bits.findIndex((value, i) => value !== wanted[i])).toBe(-1);
};

/** From -1 up to the last of `extent`. */
const indicesInto = (shape: Shape, extent: number, seed: number): HostTensor =>
  tensor(
    shape,
    randomNumbers(sizeOf(shape), seed).map((u) => Math.floor(u * (extent + 1)) - 1),
    "int32",
  );

const inputsOf = (x: Shape, rows: number, columns: number, seed = 1, tables = 1): Inputs => {
  const [n, c, h, w] = x as [number, number, number, number];
  return [
    random(x, seed, 0, 256, "uint8"),
    indicesInto([n, rows], h, seed + 1),
    indicesInto([n, columns], w, seed + 2),
    random([tables, c, 256], seed + 3),
  ];
};

test("any shapes", () => {
  const extent = fc.integer({ min: 1, max: 9 });
  fc.assert(
    fc.property(extent, extent, extent, extent, extent, extent, fc.nat(), (n, c, h, w, oh, ow, seed) => {
      for (const tables of [1, n]) check(inputsOf([n, c, h, w], oh, ow, seed, tables));
    }),
  );
});

test("edge sizes", () => {
  for (const size of edgeSizes) {
    check(inputsOf([2, 3, 5, 7], 3, size));
    check(inputsOf([2, 1, 3, size], size, 4));
  }
});

test("in tasks", () => {
  for (const tables of [1, 70]) check(inputsOf([70, 3, 32, 32], 32, 32, 1, tables));
  check(inputsOf([3, 1, 9, 9], 250, 301));
});

test("entries of the table keep their bits, those of a NaN too", () => {
  const [x, rows, columns] = inputsOf([2, 2, 8, 8], 8, 9);
  const patterns = [0x7fc00001, 0xffc54321, 0x7f812345, 0xff800000, 0x80000000, 0x00000001];
  const bits = Uint32Array.from({ length: 512 }, (_, i) => patterns[i % patterns.length] as number);
  check([x, rows, columns, { shape: [1, 2, 256], dtype: "float32", data: new Float32Array(bits.buffer) }]);
});

describe("a row or column that x does not have is refused, not clamped", () => {
  test.each([-2, -(2 ** 31), 2 ** 31 - 1])("%d", (bad) => {
    const [x, rows, columns, table] = inputsOf([2, 1, 5, 6], 3, 4);
    const rowsWith = (value: number): HostTensor => tensor([2, 3], [0, 4, -1, 2, 3, value], "int32");
    const columnsWith = (value: number): HostTensor => tensor([2, 4], [0, 5, value, 1, -1, -1, 0, value], "int32");
    for (const value of [bad, 5])
      expect(() => call([x, rowsWith(value), columns, table])).toThrow(
        new IndexError(`remapLookUp: rows[1, 2] is ${value}, expected -1 to 4`),
      );
    for (const value of [bad, 6])
      expect(() => call([x, rows, columnsWith(value), table])).toThrow(
        new IndexError(`remapLookUp: columns[0, 2] is ${value}, expected -1 to 5`),
      );
    check([x, rowsWith(-1), columnsWith(-1), table]);
  });
});
