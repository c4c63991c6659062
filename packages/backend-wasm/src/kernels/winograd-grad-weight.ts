/**
 * The weight gradient of a 3x3 convolution of stride 1 by the adjoint of Winograd's filtering:
 *
 *   gw = Gᵀ [ Σ (A gy Aᵀ) ⊙ (Bᵀ d B) ] G,  the sum over the tiles of all images,
 *
 * 16 matrix products over tiles. Tiles are neighbours in both operands, so the lanes of a vector are four tiles.
 */
import { f32x4, i32, memory, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { roundUp } from "../loops.js";
import type { Runtime } from "../runtime.js";
import { transpose4 } from "./pack.js";
import { type Planes, planesOf } from "./planes.js";
import { sumParts } from "./sum-parts.js";
import { blocksOf, COMPONENTS, type Conv3x3, emitRowsOf, emitTiles, emitTransformInput, GAP } from "./winograd.js";

const ROWS = 2;
const COLUMNS = 4;
/** Output and input channels of a task: their sums and tiles share a second-level cache. */
const BLOCK_OUTPUTS = 64;
const BLOCK_CHANNELS = 32;
/** Tiles summed at a time, roughly. */
const CHUNK_TILES = 128;
/** With fewer tasks, some threads would have nothing to do. */
const ENOUGH_TASKS = 16;

interface Tiling {
  readonly groups: number;
  readonly blockRows: number;
  readonly blocks: number;
  /** Blocks of tiles (image after image) of a task; several tasks for the same channels leave partial sums. */
  readonly perTask: number;
  readonly parts: number;
  /** Blocks summed at a time. */
  readonly together: number;
  readonly tiles: number;
  readonly blockOutputs: number;
  readonly blockChannels: number;
  readonly source: Planes;
  readonly gradient: Planes;
}

const tilingOf = (conv: Conv3x3): Tiling => {
  const { images, channels, height, width, top, left, outputs, rows, columns } = conv;
  const tileRows = Math.ceil(rows / 2);
  const groups = Math.ceil(columns / 8);
  const { blockRows, blocks } = blocksOf(tileRows, Math.floor(CHUNK_TILES / (4 * groups)));
  const all = images * blocks;
  const together = Math.max(1, Math.min(all, Math.floor(CHUNK_TILES / (blockRows * groups * 4))));
  const blockOutputs = Math.min(roundUp(outputs, ROWS), BLOCK_OUTPUTS);
  const blockChannels = Math.min(roundUp(channels, COLUMNS), BLOCK_CHANNELS);
  const pairs = Math.ceil(outputs / blockOutputs) * Math.ceil(channels / blockChannels);
  const wanted = Math.min(Math.ceil(all / together), Math.ceil(ENOUGH_TASKS / pairs));
  const perTask = roundUp(Math.ceil(all / wanted), together);
  return {
    groups,
    blockRows,
    blocks,
    perTask,
    parts: Math.ceil(all / perTask),
    together,
    tiles: together * blockRows * groups * 4,
    blockOutputs,
    blockChannels,
    source: planesOf({ height, width, rows: 2 * blockRows + 2, columns: 8 * groups + 2, top, left, stride: 2 }),
    gradient: planesOf({
      height: rows,
      width: columns,
      rows: 2 * blockRows,
      columns: 8 * groups,
      top: 0,
      left: 0,
      stride: 2,
    }),
  };
};

/** A y for two values: [y0, y0 + y1, y0 - y1, -y1]. */
const transformGradient = (body: FunctionBody, [y0, y1]: readonly V128[]): V128[] => [
  y0 as V128,
  body.let(f32x4.add(y0 as V128, y1 as V128)),
  body.let(f32x4.sub(y0 as V128, y1 as V128)),
  body.let(f32x4.neg(y1 as V128)),
];

/** Gᵀ s for four values: [s0 + (s1 + s2) / 2, (s1 - s2) / 2, (s1 + s2) / 2 + s3]. */
const transformSums = (body: FunctionBody, [s0, s1, s2, s3]: readonly V128[]): V128[] => {
  const half = f32x4.const(0.5);
  const middle = body.let(f32x4.mul(f32x4.add(s1 as V128, s2 as V128), half));
  return [
    body.let(f32x4.add(s0 as V128, middle)),
    body.let(f32x4.mul(f32x4.sub(s1 as V128, s2 as V128), half)),
    body.let(f32x4.add(middle, s3 as V128)),
  ];
};

/** (task, scratch, x, gy, partial sums) */
const gradWeightProgram = (conv: Conv3x3, tiling: Tiling): FunctionDefinition => {
  const { images, channels, height, width, outputs, rows, columns } = conv;
  const { groups, blockRows, blocks, perTask, together, tiles, blockOutputs, blockChannels, source, gradient } = tiling;
  const outputBlocks = Math.ceil(outputs / blockOutputs);
  const channelBlocks = Math.ceil(channels / blockChannels);
  const tileBytes = tiles * 4;
  const sourceBytes = blockChannels * tileBytes + GAP;
  const gradientBytes = blockOutputs * tileBytes + GAP;
  const sumsBytes = blockOutputs * blockChannels * 4 + GAP;
  return defineFunction({
    name: "winogradGradWeight",
    params: ["i32", "i32", "i32", "i32", "i32"],
    build: (body, task, scratch, x, gy, partials) => {
      const firstChannel = body.let(i32.mul(i32.remU(task, channelBlocks), blockChannels));
      const rest = body.let(i32.divU(task, channelBlocks));
      const firstOutput = body.let(i32.mul(i32.remU(rest, outputBlocks), blockOutputs));
      const part = body.let(i32.divU(rest, outputBlocks));
      const countOf = (first: Local<"i32">, all: number, most: number): Local<"i32"> => {
        const count = body.let(i32.sub(all, first));
        body.if(i32.gtU(count, most), () => body.set(count, i32.const(most)));
        return count;
      };
      const channelCount = countOf(firstChannel, channels, blockChannels);
      const outputCount = countOf(firstOutput, outputs, blockOutputs);

      const sums = scratch;
      const sourceTiles = body.let(i32.add(sums, COMPONENTS * sumsBytes));
      const gradientTiles = body.let(i32.add(sourceTiles, COMPONENTS * sourceBytes));
      const plane = body.let(i32.add(gradientTiles, COMPONENTS * gradientBytes));
      body.do(memory.fill(sums, 0, COMPONENTS * sumsBytes));

      /** Transformed tiles of `count` channels of a block: [component][channel][tile], from tile `at` on. */
      const emitTransform = (
        planes: Planes,
        rowsOf: ReturnType<typeof emitRowsOf>,
        first: Local<"i32">,
        count: Local<"i32">,
        to: Local<"i32">,
        componentBytes: number,
        transform: (element: (y: number, x: number) => V128, store: (c: number, value: V128) => void) => void,
      ): void => {
        body.do(memory.fill(plane, 0, (planes.elements + 16) * 4));
        const from = body.let(first);
        const channel = body.let(to);
        body.for(
          0,
          count,
          1,
          () => {
            const at = body.let(channel);
            emitTiles(body, planes, blockRows, groups, rowsOf, from, plane, (element) => {
              transform(element, (component, value) => body.do(v128.store(at, value, component * componentBytes)));
              body.increment(at, 16);
            });
            body.increment(from, planes.height * planes.width * 4);
            body.increment(channel, tileBytes);
          },
          { atLeastOnce: true },
        );
      };

      const number = body.let(i32.mul(part, perTask));
      const end = body.let(i32.add(number, perTask));
      body.if(i32.gtU(end, images * blocks), () => body.set(end, i32.const(images * blocks)));
      body.forever((leaveChunks) => {
        const offset = body.let(i32.const(0));
        body.forever((leave) => {
          const image = body.let(blocks === 1 ? number : i32.divU(number, blocks));
          const block = body.let(blocks === 1 ? i32.const(0) : i32.remU(number, blocks));
          emitTransform(
            source,
            emitRowsOf(body, source, block, blockRows),
            body.let(i32.add(x, i32.mul(i32.add(i32.mul(image, channels), firstChannel), height * width * 4))),
            channelCount,
            body.let(i32.add(sourceTiles, offset)),
            sourceBytes,
            (element, store) => emitTransformInput(body, element, store),
          );
          emitTransform(
            gradient,
            emitRowsOf(body, gradient, block, blockRows),
            body.let(i32.add(gy, i32.mul(i32.add(i32.mul(image, outputs), firstOutput), rows * columns * 4))),
            outputCount,
            body.let(i32.add(gradientTiles, offset)),
            gradientBytes,
            (element, store) => {
              const columnsBack = [0, 1].map((c) =>
                transformGradient(
                  body,
                  [0, 1].map((r) => body.let(element(r, c))),
                ),
              );
              for (let r = 0; r < 4; r++)
                transformGradient(
                  body,
                  columnsBack.map((column) => column[r] as V128),
                ).forEach((value, c) => store(4 * r + c, value));
            },
          );
          body.increment(number, 1);
          body.increment(offset, blockRows * groups * 16);
          leave(i32.or(i32.geU(number, end), i32.geU(offset, together * blockRows * groups * 16)));
        });

        const b = body.let(sourceTiles);
        const a0 = body.let(gradientTiles);
        const sum0 = body.let(sums);
        body.for(
          0,
          COMPONENTS,
          1,
          () => {
            const quad = body.let(b);
            const sumColumn = body.let(sum0);
            body.for(
              0,
              channelCount,
              COLUMNS,
              () => {
                const pair = body.let(a0);
                const sumAt = body.let(sumColumn);
                body.for(
                  0,
                  outputCount,
                  ROWS,
                  () => {
                    const products = Array.from({ length: ROWS * COLUMNS }, () => body.let(f32x4.const(0)));
                    const at = body.let(quad);
                    const last = body.let(i32.add(quad, offset));
                    const row = body.let(pair);
                    body.forever((leave) => {
                      const gradients = Array.from({ length: ROWS }, (_, i) => body.let(v128.load(row, i * tileBytes)));
                      for (let j = 0; j < COLUMNS; j++) {
                        const values = body.let(v128.load(at, j * tileBytes));
                        gradients.forEach((value, i) => {
                          const product = products[i * COLUMNS + j] as Local<"v128">;
                          body.set(product, f32x4.add(product, f32x4.mul(value, values)));
                        });
                      }
                      body.increment(at, 16);
                      body.increment(row, 16);
                      leave(i32.geU(at, last));
                    });
                    for (let i = 0; i < ROWS; i++) {
                      const [s0, s1, s2, s3] = transpose4(
                        body,
                        products.slice(i * COLUMNS, (i + 1) * COLUMNS),
                      ) as unknown as [V128, V128, V128, V128];
                      const sum = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
                      const place = i * blockChannels * 4;
                      body.do(v128.store(sumAt, f32x4.add(v128.load(sumAt, place), sum), place));
                    }
                    body.increment(pair, ROWS * tileBytes);
                    body.increment(sumAt, ROWS * blockChannels * 4);
                  },
                  { atLeastOnce: true },
                );
                body.increment(quad, COLUMNS * tileBytes);
                body.increment(sumColumn, COLUMNS * 4);
              },
              { atLeastOnce: true },
            );
            body.increment(b, sourceBytes);
            body.increment(a0, gradientBytes);
            body.increment(sum0, sumsBytes);
          },
          { atLeastOnce: true },
        );
        leaveChunks(i32.geU(number, end));
      });

      // Four channels at a time: their kernels are 36 neighbours.
      const out = body.let(
        i32.add(
          partials,
          i32.mul(i32.add(i32.mul(i32.add(i32.mul(part, outputs), firstOutput), channels), firstChannel), 9 * 4),
        ),
      );
      const sumRow = body.let(sums);
      body.for(
        0,
        outputCount,
        1,
        () => {
          const to = body.let(out);
          const sumAt = body.let(sumRow);
          body.for(
            0,
            channelCount,
            COLUMNS,
            (channel) => {
              const kernels = [0, 1, 2, 3].map((c) =>
                transformSums(
                  body,
                  [0, 1, 2, 3].map((r) => body.let(v128.load(sumAt, (4 * r + c) * sumsBytes))),
                ),
              );
              const taps = [0, 1, 2].flatMap((r) =>
                transformSums(
                  body,
                  kernels.map((column) => column[r] as V128),
                ),
              );
              // taps[t] has tap t of four channels; elements of one channel's kernel are neighbours.
              const channelsThere = channels % COLUMNS === 0 ? COLUMNS : 1;
              for (let c = 0; c < COLUMNS; c++) {
                const write = (): void =>
                  taps.forEach((tap, t) => body.do(v128.store32Lane(to, tap, c, (9 * c + t) * 4)));
                if (c < channelsThere) write();
                else body.if(i32.ltU(i32.add(channel, c), channelCount), write);
              }
              body.increment(to, COLUMNS * 9 * 4);
              body.increment(sumAt, COLUMNS * 4);
            },
            { atLeastOnce: true },
          );
          body.increment(out, channels * 9 * 4);
          body.increment(sumRow, blockChannels * 4);
        },
        { atLeastOnce: true },
      );
    },
  });
};

export interface WinogradGradWeightPlan {
  readonly key: string;
  readonly conv: Conv3x3;
  readonly tiling: Tiling;
  readonly tasks: number;
  readonly scratchBytes: number;
}

export const planWinogradGradWeight = (key: string, conv: Conv3x3): WinogradGradWeightPlan => {
  const tiling = tilingOf(conv);
  const { blockOutputs, blockChannels, tiles, parts, source, gradient } = tiling;
  const elements =
    COMPONENTS * (blockOutputs * blockChannels + (blockOutputs + blockChannels) * tiles + (3 * GAP) / 4) +
    Math.max(source.elements, gradient.elements) +
    16;
  return {
    key,
    conv,
    tiling,
    tasks: Math.ceil(conv.outputs / blockOutputs) * Math.ceil(conv.channels / blockChannels) * parts,
    scratchBytes: elements * 4,
  };
};

export const runWinogradGradWeight = (
  runtime: Runtime,
  { key, conv, tiling, tasks, scratchBytes }: WinogradGradWeightPlan,
  addresses: { readonly x: number; readonly gy: number; readonly output: number },
): void =>
  sumParts(runtime, conv.outputs * conv.channels * 9, tiling.parts, addresses.output, (partials) =>
    runtime.run(key, () => gradWeightProgram(conv, tiling), tasks, [addresses.x, addresses.gy, partials], scratchBytes),
  );
