/**
 * The weight gradient of a convolution: gw[m, n] = Σ gy[m, p] · x[n, p] over the pixels p of all images, n a (channel, tap)
 * pair. Pixels are neighbours in both operands, so the lanes of a vector are four pixels; a tile of 2 x 4 sums of vectors
 * stays in registers. A table says where each four pixels are, whole vectors first, then the rest of each row.
 */
import { f32x4, i32, i32x4, memory, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionDefinition, type Local } from "../assembler/module.js";
import type { Runtime } from "../runtime.js";
import { transpose4 } from "./pack.js";
import { elementOf, emitCopyPlane, hasPadding, type PaddedConv } from "./planes.js";
import { sumParts } from "./sum-parts.js";
import { storeFixedLanes } from "./tile.js";

export interface GradWeight extends PaddedConv {
  /** Of the outputs. */
  readonly rows: number;
  readonly columns: number;
}

const ROWS = 2;
const COLUMNS = 4;

interface Split {
  /** Channels of a task: a divisor of the group's. */
  readonly channels: number;
  /** Images of a task. Tasks with the same channels leave partial sums, which are added up in order. */
  readonly images: number;
  /** Images padded at a time. */
  readonly chunk: number;
}

/** Multiply-adds worth a task of its own, some 100 µs. */
const TASK_WORK = 2 ** 21;
const MAX_TASKS = 64;
/** Table entries and outputs whose gradients are copied at a time, 16 KiB of them. */
const ENTRIES = 64;
const OUTPUTS = 16;
const GRADIENTS_BYTES = ENTRIES * OUTPUTS * 16;
/** Columns of gw that pay for reading the output gradients. */
const ENOUGH_COLUMNS = 64;
/** Vectors of pixels that pay for the start of a tile. */
const ENOUGH_VECTORS = 256;
/** Elements of padded images and of output gradients that a chunk may have. */
const CHUNK_ELEMENTS = 2 ** 17;

const splitOf = ({ images, groups, channels, planes, taps, outputs, rows, columns }: GradWeight): Split => {
  const pixels = rows * columns;
  const work = images * groups * outputs * channels * taps.length * pixels;
  const tasks = Math.min(MAX_TASKS, Math.max(1, Math.ceil(work / TASK_WORK)));
  const divisors = Array.from({ length: channels }, (_, i) => i + 1).filter((d) => channels % d === 0);
  const wide = divisors.filter((d) => d * taps.length >= ENOUGH_COLUMNS);
  const perChannel = wide.find((d) => (d * taps.length) % COLUMNS === 0) ?? wide[0] ?? channels;
  const blocks = channels / perChannel;
  const splits = Math.min(images, Math.max(1, Math.ceil(tasks / (groups * blocks))));
  const perTask = Math.ceil(images / splits);
  const fitting = Math.floor(CHUNK_ELEMENTS / Math.max(perChannel * planes.elements, outputs * pixels));
  const vectors = rows * Math.ceil(columns / 4);
  const chunk = Math.max(1, Math.min(perTask, fitting, Math.ceil(ENOUGH_VECTORS / vectors)));
  return { channels: perChannel, images: perTask, chunk };
};

/** Offsets in bytes: pairs (output gradient, image) of whole vectors, then of each row's last, partial one; then one for each column of gw. */
interface Table {
  readonly data: Int32Array;
  readonly wholePerImage: number;
  readonly partialPerImage: number;
  /** Index of the first. */
  readonly partial: number;
  readonly taps: number;
}

const tableOf = (grad: GradWeight, split: Split): Table => {
  const { groups, outputs, planes, rowStride, taps, rows, columns } = grad;
  const whole: number[] = [];
  const partial: number[] = [];
  for (let image = 0; image < split.chunk; image++) {
    const gradient = image * groups * outputs * rows * columns;
    const plane = image * split.channels * planes.elements;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column += 4) {
        const pair = [
          (gradient + row * columns + column) * 4,
          (plane + elementOf(planes, row * rowStride, 0) + column) * 4,
        ];
        (column + 4 <= columns ? whole : partial).push(...pair);
      }
    }
  }
  const offsets: number[] = [];
  for (let c = 0; c < split.channels; c++)
    for (const [y, x] of taps) offsets.push((c * planes.elements + elementOf(planes, y, x)) * 4);
  // A last tile with fewer columns computes its last one more than once.
  while (offsets.length % COLUMNS > 0) offsets.push(offsets[offsets.length - 1] as number);
  return {
    data: Int32Array.from([...whole, ...partial, ...offsets]),
    wholePerImage: whole.length / 2 / split.chunk,
    partialPerImage: partial.length / 2 / split.chunk,
    partial: whole.length,
    taps: whole.length + partial.length,
  };
};

/** The first `count` lanes all ones, or all lanes for 0. */
const lanesMask = (count: number): V128 => {
  let mask: V128 = f32x4.const(0);
  for (let l = 0; l < (count === 0 ? 4 : count); l++) mask = i32x4.replaceLane(mask, l, i32.const(-1));
  return mask;
};

const gradWeightProgram = (grad: GradWeight, split: Split, table: Table): FunctionDefinition => {
  const { images, groups, channels, planes, taps, outputs, rows, columns } = grad;
  const blocks = channels / split.channels;
  const n = split.channels * taps.length;
  const quads = Math.ceil(n / COLUMNS);
  const pairs = Math.ceil(outputs / ROWS);
  const pixels = rows * columns;
  const planeBytes = planes.elements * 4;
  const imageBytes = split.channels * planeBytes;
  const sumsBytes = quads * pairs * ROWS * COLUMNS * 16;
  return defineFunction({
    name: "gradWeight",
    params: ["i32", "i32", "i32", "i32", "i32", "i32"],
    build: (body, task, scratch, x, gy, output, tables) => {
      const block = body.let(i32.remU(task, blocks));
      const rest = body.let(i32.divU(task, blocks));
      const group = body.let(i32.remU(rest, groups));
      const part = body.let(i32.divU(rest, groups));
      const image = body.let(i32.mul(part, split.images));
      const endImage = body.let(i32.add(image, split.images));
      body.if(i32.gtU(endImage, images), () => body.set(endImage, i32.const(images)));
      const gradients = body.let(i32.add(scratch, sumsBytes));
      const padded = body.let(i32.add(gradients, GRADIENTS_BYTES));
      body.do(memory.fill(scratch, 0, sumsBytes));
      if (hasPadding(planes)) body.do(memory.fill(padded, 0, split.chunk * imageBytes));

      const mask = body.let(lanesMask(columns % 4));
      const count = body.local("i32");
      const firstGradient = body.local("i32");

      /**
       * Adds the products of `perImage` table entries an image to all sums, some entries and some outputs at a time:
       * their gradients, copied to lie next to each other, and the image's part stay in the first-level cache.
       */
      const accumulate = (from: number, perImage: number, masked: boolean): void => {
        const only = (v: V128): V128 => (masked ? v128.and(v, mask) : v);
        const entry = body.let(i32.add(tables, from * 4));
        const lastEntry = body.let(i32.add(entry, i32.mul(count, perImage * 8)));
        body.forever((leaveEntries) => {
          const end = body.let(i32.add(entry, ENTRIES * 8));
          body.if(i32.gtU(end, lastEntry), () => body.set(end, lastEntry));
          body.for(
            0,
            outputs,
            OUTPUTS,
            (firstOutput) => {
              const endOutput = body.let(i32.add(firstOutput, OUTPUTS));
              body.if(i32.gtU(endOutput, outputs), () => body.set(endOutput, i32.const(outputs)));
              const gradient = body.let(i32.add(firstGradient, i32.mul(firstOutput, pixels * 4)));
              const copy = body.let(gradients);
              body.for(
                firstOutput,
                endOutput,
                ROWS,
                (m) => {
                  const second = body.let(i32.add(gradient, pixels * 4));
                  // An odd number of outputs: the last one's partner is itself.
                  if (outputs % ROWS > 0) body.if(i32.geU(i32.add(m, 1), outputs), () => body.set(second, gradient));
                  const at = body.let(entry);
                  body.forever((leave) => {
                    const offset = body.let(i32.load(at));
                    body.do(v128.store(copy, only(v128.load(i32.add(gradient, offset)))));
                    body.do(v128.store(copy, only(v128.load(i32.add(second, offset))), 16));
                    body.increment(copy, ROWS * 16);
                    body.increment(at, 8);
                    leave(i32.geU(at, end));
                  });
                  body.increment(gradient, ROWS * pixels * 4);
                },
                { atLeastOnce: true },
              );

              const tapAt = body.let(i32.add(tables, table.taps * 4));
              const firstSum = body.let(i32.add(scratch, i32.mul(firstOutput, COLUMNS * 16)));
              body.for(
                0,
                quads,
                1,
                () => {
                  const xs = [0, 1, 2, 3].map((j) => body.let(i32.add(padded, i32.load(tapAt, 4 * j))));
                  const sumAt = body.let(firstSum);
                  body.set(copy, gradients);
                  body.for(
                    firstOutput,
                    endOutput,
                    ROWS,
                    () => {
                      const sums = Array.from({ length: ROWS * COLUMNS }, () => body.let(f32x4.const(0)));
                      const at = body.let(entry);
                      body.forever((leave) => {
                        const offset = body.let(i32.load(at, 4));
                        const rows = Array.from({ length: ROWS }, (_, i) => body.let(v128.load(copy, 16 * i)));
                        xs.forEach((base, j) => {
                          const values = body.let(only(v128.load(i32.add(base, offset))));
                          rows.forEach((row, i) => {
                            const sum = sums[i * COLUMNS + j] as Local<"v128">;
                            body.set(sum, f32x4.add(sum, f32x4.mul(row, values)));
                          });
                        });
                        body.increment(copy, ROWS * 16);
                        body.increment(at, 8);
                        leave(i32.geU(at, end));
                      });
                      sums.forEach((sum, s) =>
                        body.do(v128.store(sumAt, f32x4.add(v128.load(sumAt, 16 * s), sum), 16 * s)),
                      );
                      body.increment(sumAt, ROWS * COLUMNS * 16);
                    },
                    { atLeastOnce: true },
                  );
                  body.increment(tapAt, COLUMNS * 4);
                  body.increment(firstSum, pairs * ROWS * COLUMNS * 16);
                },
                { atLeastOnce: true },
              );
            },
            { atLeastOnce: true },
          );
          body.set(entry, end);
          leaveEntries(i32.geU(entry, lastEntry));
        });
      };

      body.forever((leave) => {
        body.set(count, i32.sub(endImage, image));
        body.if(i32.gtU(count, split.chunk), () => body.set(count, i32.const(split.chunk)));
        const plane = body.let(padded);
        body.for(
          0,
          count,
          1,
          (i) => {
            const channel = i32.add(
              i32.mul(i32.add(i32.mul(i32.add(image, i), groups), group), channels),
              i32.mul(block, split.channels),
            );
            const from = body.let(i32.add(x, i32.mul(channel, planes.height * planes.width * 4)));
            body.for(
              0,
              split.channels,
              1,
              () => {
                emitCopyPlane(body, planes, from, plane);
                body.increment(from, planes.height * planes.width * 4);
                body.increment(plane, planeBytes);
              },
              { atLeastOnce: true },
            );
          },
          { atLeastOnce: true },
        );

        body.set(
          firstGradient,
          i32.add(gy, i32.mul(i32.mul(i32.add(i32.mul(image, groups), group), outputs), pixels * 4)),
        );
        if (table.wholePerImage > 0) accumulate(0, table.wholePerImage, false);
        if (table.partialPerImage > 0) accumulate(table.partial, table.partialPerImage, true);
        body.increment(image, split.chunk);
        leave(i32.geU(image, endImage));
      });

      const total = channels * taps.length;
      const sumAt = body.let(scratch);
      const firstRow = i32.mul(i32.add(i32.mul(part, groups), group), outputs);
      const out = body.let(i32.add(output, i32.mul(i32.add(i32.mul(firstRow, total), i32.mul(block, n)), 4)));
      const to = body.local("i32");
      const writeQuads = (quadCount: number, valid: number): void =>
        body.for(
          0,
          quadCount,
          1,
          () => {
            body.set(to, out);
            body.for(
              0,
              outputs,
              ROWS,
              (m) => {
                for (let r = 0; r < ROWS; r++) {
                  const write = (): void => {
                    const lanes = transpose4(
                      body,
                      [0, 1, 2, 3].map((j) => body.let(v128.load(sumAt, 16 * (r * COLUMNS + j)))),
                    ) as unknown as [V128, V128, V128, V128];
                    const [a, b, c, d] = lanes;
                    const sum = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
                    storeFixedLanes(body, i32.add(to, r * total * 4), sum, valid);
                  };
                  if (r > 0 && outputs % ROWS > 0) body.if(i32.ltU(i32.add(m, r), outputs), write);
                  else write();
                }
                body.increment(sumAt, ROWS * COLUMNS * 16);
                body.increment(to, ROWS * total * 4);
              },
              { atLeastOnce: true },
            );
            body.increment(out, COLUMNS * 4);
          },
          { atLeastOnce: true },
        );
      if (n >= COLUMNS) writeQuads(Math.floor(n / COLUMNS), COLUMNS);
      if (n % COLUMNS > 0) writeQuads(1, n % COLUMNS);
    },
  });
};

export interface GradWeightPlan {
  readonly key: string;
  readonly grad: GradWeight;
  readonly split: Split;
  readonly table: Table;
  readonly parts: number;
  readonly tasks: number;
  readonly scratchBytes: number;
}

export const planGradWeight = (key: string, grad: GradWeight): GradWeightPlan => {
  const split = splitOf(grad);
  const parts = Math.ceil(grad.images / split.images);
  const sums =
    Math.ceil((split.channels * grad.taps.length) / COLUMNS) * Math.ceil(grad.outputs / ROWS) * ROWS * COLUMNS * 4;
  return {
    key,
    grad,
    split,
    table: tableOf(grad, split),
    parts,
    tasks: (grad.channels / split.channels) * grad.groups * parts,
    scratchBytes: GRADIENTS_BYTES + (sums + split.chunk * split.channels * grad.planes.elements + 16) * 4,
  };
};

export const runGradWeight = (
  runtime: Runtime,
  { key, grad, split, table, parts, tasks, scratchBytes }: GradWeightPlan,
  addresses: { readonly x: number; readonly gy: number; readonly output: number },
): void => {
  const elements = grad.groups * grad.outputs * grad.channels * grad.taps.length;
  runtime.withTemporary(table.data.byteLength, (tables) => {
    new Int32Array(runtime.buffer, tables, table.data.length).set(table.data);
    sumParts(runtime, elements, parts, addresses.output, (partials) =>
      runtime.run(
        key,
        () => gradWeightProgram(grad, split, table),
        tasks,
        [addresses.x, addresses.gy, partials, tables],
        scratchBytes,
      ),
    );
  });
};
