import { IndexError } from "@striate/core/backend";
import { i32, i32x4, select } from "../assembler/instructions.js";
import { defineFunction, type FunctionDefinition, type Local } from "../assembler/module.js";
import type { Runtime } from "../runtime.js";
import { addressesOf, type WasmKernels, type WasmOperand } from "../storage.js";
import { addressAt, fillRow, forUnits, splitUnits, unravel } from "./rows.js";

interface Geometry {
  readonly channels: number;
  /** Of the images. */
  readonly height: number;
  readonly width: number;
  /** Of the result. */
  readonly rows: number;
  readonly columns: number;
  /** Whether each image has its own table. */
  readonly tables: boolean;
}

const ENTRIES = 256;
/** Pixels of a round of the loop. */
const UNROLLED = 4;

/** Units are planes. Entries of the table are moved as integers: a NaN keeps its bits. */
const program = ({ channels, height, width, rows, columns, tables }: Geometry): FunctionDefinition =>
  defineFunction({
    name: "remapLookUp",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, rowIndices, columnIndices, table, y, chunk, planes) => {
      const [line, column, to, place] = [b.local("i32"), b.local("i32"), b.local("i32"), b.local("i32")];
      const lookUp = (entries: Local<"i32">, black: Local<"i32">, count: number): void => {
        for (let i = 0; i < count; i++) {
          b.set(place, i32.load(column, 4 * i));
          // For -1 the byte before the line is read, and not used: no plane lies at address 0.
          const entry = i32.load(i32.add(entries, i32.shl(i32.load8U(i32.add(line, place)), 2)));
          b.do(i32.store(to, select(i32.ltS(place, 0), black, entry), 4 * i));
        }
        b.increment(column, 4 * count);
        b.increment(to, 4 * count);
      };
      forUnits(b, task, chunk, planes, (plane) => {
        const [image, channel] = unravel(b, plane, [1, channels]) as [Local<"i32">, Local<"i32">];
        const entries = b.let(addressAt(table, [tables ? plane : channel], [4 * ENTRIES]));
        const black = b.let(i32.load(entries));
        const blacks = b.let(i32x4.splat(black));
        const source = b.let(addressAt(x, [plane], [height * width]));
        const target = b.let(addressAt(y, [plane], [4 * rows * columns]));
        const row = b.let(addressAt(rowIndices, [image], [4 * rows]));
        const firstColumn = b.let(addressAt(columnIndices, [image], [4 * columns]));
        b.for(
          0,
          rows,
          1,
          () => {
            b.set(line, i32.load(row));
            b.if(
              i32.ltS(line, 0),
              () => fillRow(b, 4, blacks, target, columns),
              () => {
                b.set(line, addressAt(source, [line], [width]));
                b.set(column, firstColumn);
                b.set(to, target);
                b.for(0, Math.floor(columns / UNROLLED), 1, () => lookUp(entries, black, UNROLLED));
                lookUp(entries, black, columns % UNROLLED);
              },
            );
            b.increment(row, 4);
            b.increment(target, 4 * columns);
          },
          { atLeastOnce: true },
        );
      });
    },
  });

export const remapLookUpKernels = (runtime: Runtime): Pick<WasmKernels, "remapLookUp"> => {
  const check = (name: string, index: WasmOperand, extent: number): void => {
    const [images, count] = index.shape as [number, number];
    const values = new Int32Array(runtime.buffer, index.storage.address, images * count);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value < -1 || value >= extent)
        throw new IndexError(
          `remapLookUp: ${name}[${Math.floor(i / count)}, ${i % count}] is ${value}, expected -1 to ${extent - 1}`,
        );
    }
  };

  return {
    remapLookUp: {
      run: ({ inputs, outputs }) => {
        const [x, rowIndices, columnIndices, table] = inputs;
        const [images, channels, height, width] = x.shape as [number, number, number, number];
        const [rows, columns] = outputs[0].shape.slice(2) as [number, number];
        check("rows", rowIndices, height);
        check("columns", columnIndices, width);
        const planes = images * channels;
        const tables = table.shape[0] !== 1;
        const { tasks, chunk } = splitUnits(planes, rows * columns);
        runtime.run(
          `remapLookUp:${x.shape.slice(1)}:${rows},${columns}:${tables}`,
          () => program({ channels, height, width, rows, columns, tables }),
          tasks,
          [...addressesOf([...inputs, ...outputs]), chunk, planes],
        );
      },
    },
  };
};
