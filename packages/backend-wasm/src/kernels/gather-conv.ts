/**
 * The convolution that forward and input gradient are both made of: outputs on a grid, each the product of a row of
 * packed weights with the elements that a list of taps meets in every channel of a padded image. Implicit im2col: the
 * micro-kernel finds B's vectors through a table of offsets, one for each (channel, tap).
 */
import { i32, memory, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionDefinition } from "../assembler/module.js";
import { roundUp } from "../loops.js";
import { reluF32x4 } from "../math.js";
import type { Runtime } from "../runtime.js";
import { type PackSource, pack, packedElements } from "./pack.js";
import { elementOf, emitCopyPlane, hasPadding, type PaddedConv } from "./planes.js";
import { columnsOf, type Epilogue, emitTileProduct, NARROW_ROWS, storeFixedLanes, type Tile } from "./tile.js";

export interface GatherConv extends PaddedConv, Epilogue {
  /** The grid of outputs: its size, and where it lies in the output's planes (elements). */
  readonly grid: {
    readonly rows: number;
    readonly columns: number;
    readonly plane: number;
    readonly offset: number;
    readonly rowStep: number;
    readonly columnStep: number;
  };
  readonly weights: PackSource;
  /** Elements between the weights of two groups. */
  readonly weightsStep: number;
}

interface Split {
  /** Of a task. */
  readonly images: number;
  /** Output channels of a task, a multiple of the tile's rows. */
  readonly outputs: number;
}

/** Multiply-adds worth a task of its own, some 50 µs. */
const TASK_WORK = 2 ** 20;
/** Elements of weights that stay in a second-level cache. */
const WEIGHTS_BLOCK = 2 ** 17;
/** Elements of padded images, likewise. */
const IMAGES_BLOCK = 2 ** 17;
/** With fewer tasks, some threads would have nothing to do. */
const ENOUGH_TASKS = 16;

const splitOf = (tile: Tile, conv: GatherConv): Split => {
  const { images, groups, channels, planes, taps, outputs, grid } = conv;
  const k = channels * taps.length;
  const imageWork = outputs * k * grid.rows * grid.columns;
  const rounded = roundUp(outputs, tile.rows);
  const fitting = Math.max(1, Math.floor(IMAGES_BLOCK / (channels * planes.elements)));
  const perTask = Math.max(1, Math.min(images, fitting, Math.floor(TASK_WORK / imageWork)));
  const tasks = groups * Math.ceil(images / perTask);
  // Each part copies the images again: worth it for large weights, and for a lone image.
  const parts = Math.max(
    Math.ceil((outputs * k) / WEIGHTS_BLOCK),
    Math.min(Math.ceil(ENOUGH_TASKS / tasks), Math.floor((imageWork * perTask) / TASK_WORK)),
    1,
  );
  const perPart = Math.max(tile.rows, roundUp(rounded / parts, tile.rows));
  return { images: perTask, outputs: perPart };
};

/** The program (task, scratch, source, weights, bias, output, table). */
const gatherConvProgram = ({ tile, conv, split }: GatherConvPlan): FunctionDefinition => {
  const { images, groups, channels, planes, rowStride, taps, outputs, grid, bias, relu } = conv;
  const k = channels * taps.length;
  const parts = Math.ceil(outputs / split.outputs);
  const planeBytes = planes.elements * 4;
  const rowBytes = planes.segments * planes.columns * 4;
  const outPlaneBytes = grid.plane * 4;
  const columnsOfTile = columnsOf(tile);
  return defineFunction({
    name: "gatherConv",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (body, task, scratch, source, weights, biases, output, table) => {
      const part = body.let(i32.remU(task, parts));
      const rest = body.let(i32.divU(task, parts));
      const group = body.let(i32.remU(rest, groups));
      const firstImage = body.let(i32.mul(i32.divU(rest, groups), split.images));
      const endImage = body.let(i32.add(firstImage, split.images));
      body.if(i32.gtU(endImage, images), () => body.set(endImage, i32.const(images)));
      const firstOutput = body.let(i32.mul(part, split.outputs));
      const endOutput = body.let(i32.add(firstOutput, split.outputs));
      body.if(i32.gtU(endOutput, outputs), () => body.set(endOutput, i32.const(outputs)));

      if (hasPadding(planes)) body.do(memory.fill(scratch, 0, split.images * channels * planeBytes));
      const plane = body.let(scratch);
      body.for(firstImage, endImage, 1, (image) => {
        const from = body.let(
          i32.add(source, i32.mul(i32.add(i32.mul(image, groups), group), channels * planes.height * planes.width * 4)),
        );
        body.for(0, channels, 1, () => {
          emitCopyPlane(body, planes, from, plane);
          body.increment(from, planes.height * planes.width * 4);
          body.increment(plane, planeBytes);
        });
      });

      const packedGroup = roundUp(outputs, tile.rows) * k * 4;
      const firstWeights = body.let(
        i32.add(weights, i32.add(i32.mul(group, packedGroup), i32.mul(firstOutput, k * 4))),
      );
      const firstBias = bias
        ? body.let(i32.add(biases, i32.mul(i32.add(i32.mul(group, outputs), firstOutput), 4)))
        : undefined;
      body.set(plane, scratch);
      const a = body.local("i32");
      const out = body.local("i32");
      const m = body.local("i32");
      const biasAt = body.local("i32");
      body.for(firstImage, endImage, 1, (image) => {
        const place = i32.mul(
          i32.add(i32.mul(i32.add(i32.mul(image, groups), group), outputs), firstOutput),
          outPlaneBytes,
        );
        const outRow = body.let(i32.add(i32.add(output, place), grid.offset * 4));
        const row = body.let(plane);
        body.for(0, grid.rows, 1, () => {
          const at = body.let(row);
          const outAt = body.let(outRow);
          const tileOf = (rows: number, columns: number): void => {
            const sums = emitTileProduct(body, {
              tile: { rows, vectors: Math.ceil(columns / 4) },
              rowsPacked: tile.rows,
              k,
              a,
              b: at,
              walk: { kind: "table", address: table },
              ...(firstBias && { initial: (r: number) => v128.load32Splat(biasAt, 4 * r) }),
            });
            sums.forEach((vectors, r) => {
              const to = body.let(r === 0 ? out : i32.add(out, r * outPlaneBytes));
              vectors.forEach((sum, j) =>
                storeFixedLanes(body, to, relu ? reluF32x4(sum) : sum, Math.min(4, columns - 4 * j), {
                  offset: 16 * j * grid.columnStep,
                  step: grid.columnStep,
                }),
              );
            });
          };
          const allOutputs = (columns: number): void => {
            body.set(a, firstWeights);
            body.set(out, outAt);
            body.set(m, firstOutput);
            if (firstBias) body.set(biasAt, firstBias);
            for (const rows of columns <= 4 ? [NARROW_ROWS, tile.rows] : [tile.rows]) {
              if (outputs < rows) continue;
              body.forever((leave) => {
                leave(i32.gtU(i32.add(m, rows), endOutput));
                tileOf(rows, columns);
                if (rows > tile.rows) body.increment(a, (rows - tile.rows) * k * 4);
                body.increment(m, rows);
                body.increment(out, rows * outPlaneBytes);
                if (firstBias) body.increment(biasAt, rows * 4);
              });
            }
            if (outputs % tile.rows > 0) body.if(i32.ltU(m, endOutput), () => tileOf(outputs % tile.rows, columns));
          };
          const full = Math.floor(grid.columns / columnsOfTile);
          if (full > 0)
            body.for(
              0,
              full,
              1,
              () => {
                allOutputs(columnsOfTile);
                body.increment(at, columnsOfTile * 4);
                body.increment(outAt, columnsOfTile * grid.columnStep * 4);
              },
              { atLeastOnce: true },
            );
          if (grid.columns % columnsOfTile > 0) allOutputs(grid.columns % columnsOfTile);
          body.increment(row, rowStride * rowBytes);
          body.increment(outRow, grid.rowStep * 4);
        });
        body.increment(plane, channels * planeBytes);
      });
    },
  });
};

/** Byte offsets from an output's corner to each (channel, tap). */
const offsetTable = ({ channels, planes, taps }: GatherConv): Int32Array => {
  const offsets = taps.map(([y, x]) => elementOf(planes, y, x) * 4);
  const table = new Int32Array(channels * offsets.length);
  for (let c = 0; c < channels; c++)
    offsets.forEach((offset, t) => {
      table[c * offsets.length + t] = c * planes.elements * 4 + offset;
    });
  return table;
};

/** A convolution ready to run: all that follows from the shapes. */
export interface GatherConvPlan {
  readonly key: string;
  readonly tile: Tile;
  readonly conv: GatherConv;
  readonly split: Split;
  readonly tasks: number;
  readonly table: Int32Array;
  readonly packedElements: number;
}

export const planGatherConv = (tile: Tile, key: string, conv: GatherConv): GatherConvPlan => {
  const split = splitOf(tile, conv);
  return {
    key,
    tile,
    conv,
    split,
    tasks: Math.ceil(conv.outputs / split.outputs) * conv.groups * Math.ceil(conv.images / split.images),
    table: offsetTable(conv),
    packedElements: packedElements(conv.weights, tile.rows) * conv.groups,
  };
};

export const runGatherConv = (
  runtime: Runtime,
  plan: GatherConvPlan,
  addresses: { readonly source: number; readonly weights: number; readonly bias: number; readonly output: number },
): void => {
  const { key, tile, conv, split, tasks, table, packedElements: packed } = plan;
  runtime.withTemporary(packed * 4 + table.byteLength, (packedWeights) => {
    pack(runtime, key, conv.weights, tile.rows, conv.groups, conv.weightsStep, {
      source: addresses.weights,
      destination: packedWeights,
    });
    const tableAddress = packedWeights + packed * 4;
    new Int32Array(runtime.buffer, tableAddress, table.length).set(table);
    runtime.run(
      key,
      () => gatherConvProgram(plan),
      tasks,
      [addresses.source, packedWeights, addresses.bias, addresses.output, tableAddress],
      // The last vectors of a plane reach beyond it.
      (split.images * conv.channels * conv.planes.elements + 16) * 4,
    );
  });
};
