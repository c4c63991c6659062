/**
 * Winograd's minimal filtering F(2x2, 3x3): four outputs of a 3x3 convolution of stride 1 by 16 multiplications for each
 * channel instead of 36 (A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1).
 *
 *   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A
 *
 * d is a tile of 4x4 inputs, g a kernel, Y the tile's 2x2 outputs. Summed over channels, each of the 16 products is a
 * matrix product of transformed weights with transformed tiles. The constants are 1, -1 and 1/2: small integers stay exact,
 * which larger tiles would not give; docs/decisions/0030-wasm-backend.md.
 */
import { f32x4, i32, memory, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { roundUp } from "../loops.js";
import { reluF32x4 } from "../math.js";
import type { Runtime } from "../runtime.js";
import { emitCopyRows, type Planes, planesOf } from "./planes.js";
import { columnsOf, type Epilogue, emitTileProduct, storeFixedLanes, type Tile } from "./tile.js";

/** Of transformed tiles and kernels. */
export const COMPONENTS = 16;
/** Bytes between two of them, which are stored and loaded together: multiples of 4 KiB apart, they would share a few lines of the first-level cache. */
export const GAP = 64;

type Vector = Local<"v128">;

/** Bᵀ d for four values: [d0 - d2, d1 + d2, d2 - d1, d1 - d3]. */
const transformInput = (body: FunctionBody, [d0, d1, d2, d3]: readonly V128[]): Vector[] =>
  [
    f32x4.sub(d0 as V128, d2 as V128),
    f32x4.add(d1 as V128, d2 as V128),
    f32x4.sub(d2 as V128, d1 as V128),
    f32x4.sub(d1 as V128, d3 as V128),
  ].map((value) => body.let(value));

/** Aᵀ m for four values: [m0 + m1 + m2, m1 - m2 - m3]. */
const transformOutput = (body: FunctionBody, [m0, m1, m2, m3]: readonly V128[]): Vector[] =>
  [
    f32x4.add(f32x4.add(m0 as V128, m1 as V128), m2 as V128),
    f32x4.sub(f32x4.sub(m1 as V128, m2 as V128), m3 as V128),
  ].map((value) => body.let(value));

/** G g for three values: [g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2]. */
const transformWeights = (body: FunctionBody, [g0, g1, g2]: readonly V128[]): V128[] => {
  const outer = body.let(f32x4.add(g0 as V128, g2 as V128));
  const half = f32x4.const(0.5);
  return [
    g0 as V128,
    body.let(f32x4.mul(f32x4.add(outer, g1 as V128), half)),
    body.let(f32x4.mul(f32x4.sub(outer, g1 as V128), half)),
    g2 as V128,
  ];
};

/** Rows, then columns of a matrix of vectors, by the same transform. */
const bothSides = (
  rows: readonly (readonly V128[])[],
  transform: (values: readonly V128[]) => readonly V128[],
): V128[][] => {
  const width = (rows[0] as readonly V128[]).length;
  const columns = Array.from({ length: width }, (_, x) => transform(rows.map((row) => row[x] as V128)));
  const height = (columns[0] as readonly V128[]).length;
  return Array.from({ length: height }, (_, y) => [...transform(columns.map((column) => column[y] as V128))]);
};

/** The geometry of a 3x3 convolution of stride 1 without groups. */
export interface Conv3x3 {
  readonly images: number;
  /** Of the source. */
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Padding above and to the left; may be negative. */
  readonly top: number;
  readonly left: number;
  /** Output channels and size. */
  readonly outputs: number;
  readonly rows: number;
  readonly columns: number;
}

/** A forward convolution, or the input gradient of one. */
export interface WinogradConv extends Conv3x3, Epilogue {
  /** Elements from output to output, and from channel to channel of the weights, whose kernels are 9 elements. */
  readonly weights: { readonly outputStep: number; readonly channelStep: number; readonly turned: boolean };
}

/** How a convolution is cut into tiles and tasks. */
interface Tiling {
  readonly tileRows: number;
  readonly tileColumns: number;
  /** Vectors of four tiles in a row of tiles. */
  readonly groups: number;
  /** Rows of tiles that a task computes of an image, and images of which it does. */
  readonly blockRows: number;
  readonly blocks: number;
  readonly images: number;
  /** Columns of the matrix product: tiles, rounded up to whole panels. */
  readonly n: number;
  /** Output channels transformed back at a time. */
  readonly outputs: number;
  readonly planes: Planes;
}

/** Elements of transformed tiles that a task holds, half of a second-level cache. */
const TILES_BLOCK = 2 ** 17;
const PRODUCTS_BLOCK = 2 ** 17;

/** Cuts rows of tiles into blocks of `most` or less, as equal as can be: rows that are not there are computed all the same. */
export const blocksOf = (tileRows: number, most: number): { readonly blockRows: number; readonly blocks: number } => {
  const blockRows = Math.ceil(tileRows / Math.ceil(tileRows / Math.max(1, most)));
  return { blockRows, blocks: Math.ceil(tileRows / blockRows) };
};

const tilingOf = (tile: Tile, conv: WinogradConv): Tiling => {
  const { images, channels, height, width, top, left, outputs, rows, columns } = conv;
  const panel = columnsOf(tile);
  const tileRows = Math.ceil(rows / 2);
  const tileColumns = Math.ceil(columns / 2);
  const groups = Math.ceil(tileColumns / 4);
  const most = Math.max(panel, Math.floor(TILES_BLOCK / (COMPONENTS * channels)));
  const { blockRows, blocks } = blocksOf(tileRows, Math.floor(most / (4 * groups)));
  const perImage = blockRows * groups * 4;
  const together = blocks > 1 ? 1 : Math.max(1, Math.min(images, Math.floor(most / perImage)));
  const n = roundUp(perImage * together, panel);
  const fitting = Math.floor(PRODUCTS_BLOCK / (COMPONENTS * n) / tile.rows) * tile.rows;
  return {
    tileRows,
    tileColumns,
    groups,
    blockRows,
    blocks,
    images: together,
    n,
    outputs: Math.max(tile.rows, Math.min(roundUp(outputs, tile.rows), fitting)),
    planes: planesOf({
      height,
      width,
      rows: 2 * blockRows + 2,
      columns: 2 * groups * 4 + 2,
      top,
      left,
      stride: 2,
    }),
  };
};

/** Whether rows of tiles fill their vectors, at least three quarters of them. */
const fills = (columns: number): boolean => columns / (Math.ceil(columns / 8) * 8) >= 0.75;

/** Channels on both sides from which the transforms weigh less than the multiplications saved. */
const MIN_CHANNELS = 8;

/** Whether filtering is faster than the direct convolution, forward and backward. `columns` are the output's. */
export const winogradPays = (channels: number, outputs: number, columns: number): boolean =>
  Math.min(channels, outputs) >= MIN_CHANNELS && fills(columns);

/** Of a component of all transformed weights. */
const weightsBytes = (tile: Tile, channels: number, outputs: number): number =>
  roundUp(outputs, tile.rows) * channels * 4 + GAP;

/** (task, scratch, weights, transformed): task t transforms panel t, tile.rows outputs (four: a vector) of all channels. */
const weightsProgram = (tile: Tile, { channels, outputs, weights }: WinogradConv): FunctionDefinition =>
  defineFunction({
    name: "winogradWeights",
    params: ["i32", "i32", "i32", "i32"],
    build: (body, task, _scratch, source, transformed) => {
      const first = body.let(i32.mul(task, tile.rows));
      // Outputs that are not there repeat the last one; their results are never stored.
      const places = Array.from({ length: tile.rows }, (_, row) => {
        const output = body.let(i32.add(first, row));
        if (outputs % tile.rows > 0) body.if(i32.geU(output, outputs), () => body.set(output, i32.const(outputs - 1)));
        return body.let(i32.add(source, i32.mul(output, weights.outputStep * 4)));
      });
      const to = body.let(i32.add(transformed, i32.mul(task, channels * tile.rows * 4)));
      body.for(
        0,
        channels,
        1,
        () => {
          const tap = (y: number, x: number): V128 => {
            const offset = (weights.turned ? 8 - (3 * y + x) : 3 * y + x) * 4;
            const lanes = places.map((place) => v128.load32Splat(place, offset)) as [V128, V128, V128, V128];
            const [a, b, c, d] = lanes;
            return body.let(
              v128.shuffle(v128.shuffle(a, b, [0, 4, 0, 4]), v128.shuffle(c, d, [0, 4, 0, 4]), [0, 1, 4, 5]),
            );
          };
          const kernel = [0, 1, 2].map((y) => [0, 1, 2].map((x) => tap(y, x)));
          bothSides(kernel, (values) => transformWeights(body, values)).forEach((row, y) => {
            row.forEach((value, x) => {
              body.do(v128.store(to, value, (4 * y + x) * weightsBytes(tile, channels, outputs)));
            });
          });
          for (const place of places) body.increment(place, weights.channelStep * 4);
          body.increment(to, tile.rows * 4);
        },
        { atLeastOnce: true },
      );
    },
  });

/** Where a block of an image lies: the padded block's first row that the image has, how many, and the image's first. */
export interface BlockRows {
  readonly first: Local<"i32">;
  readonly count: Local<"i32">;
  readonly imageRow: Local<"i32">;
}

/**
 * Copies a block of a channel's plane into `plane`, cleared before, and visits it four tiles at a time: `element(y, x)` is
 * element (y, x) of each. Tiles are two rows and columns apart.
 */
export const emitTiles = (
  body: FunctionBody,
  planes: Planes,
  blockRows: number,
  groups: number,
  rowsOf: BlockRows,
  image: Local<"i32">,
  plane: Local<"i32">,
  visit: (element: (y: number, x: number) => V128) => void,
): void => {
  const rowBytes = planes.segments * planes.columns * 4;
  const from = body.let(i32.add(image, i32.mul(rowsOf.imageRow, planes.width * 4)));
  const to = body.let(i32.add(plane, i32.mul(rowsOf.first, rowBytes)));
  body.if(rowsOf.count, () => emitCopyRows(body, planes, from, to, rowsOf.count));
  const row = body.let(plane);
  body.for(
    0,
    blockRows,
    1,
    () => {
      const at = body.let(row);
      body.for(
        0,
        groups,
        1,
        () => {
          // Column x of the tiles 2t, 2t + 2 …: segment x % 2, from t + floor(x / 2) on.
          visit((y, x) => v128.load(at, y * rowBytes + ((x % 2) * planes.columns + Math.floor(x / 2)) * 4));
          body.increment(at, 16);
        },
        { atLeastOnce: true },
      );
      body.increment(row, 2 * rowBytes);
    },
    { atLeastOnce: true },
  );
};

/** The 16 components of four tiles of inputs, row by row; columns first, so that each element is loaded once. */
export const emitTransformInput = (
  body: FunctionBody,
  element: (y: number, x: number) => V128,
  store: (component: number, value: V128) => void,
): void => {
  const columns = [0, 1, 2, 3].map((x) =>
    transformInput(
      body,
      [0, 1, 2, 3].map((y) => body.let(element(y, x))),
    ),
  );
  for (let y = 0; y < 4; y++)
    transformInput(
      body,
      columns.map((column) => column[y] as V128),
    ).forEach((value, x) => store(4 * y + x, value));
};

/** The rows of a block that the image has: the padded block's first, how many, and the image's first. */
export const emitRowsOf = (body: FunctionBody, planes: Planes, block: Local<"i32">, blockRows: number): BlockRows => {
  const { top, height, rows } = planes;
  // Padded row r of the block is the image's row start + r; signed, since both may be negative.
  const start = body.let(i32.sub(i32.mul(block, 2 * blockRows), top));
  const first = body.let(i32.const(0));
  body.if(i32.ltS(start, 0), () => body.set(first, i32.sub(0, start)));
  const imageRow = body.let(i32.add(start, first));
  const count = body.let(i32.sub(rows, first));
  body.if(i32.gtS(i32.add(imageRow, count), height), () => body.set(count, i32.sub(height, imageRow)));
  body.if(i32.ltS(count, 0), () => body.set(count, i32.const(0)));
  return { first, count, imageRow };
};

/** (task, scratch, source, transformed weights, bias, output) */
const winogradProgram = ({ tile, conv, tiling }: WinogradPlan): FunctionDefinition => {
  const { images, channels, height, width, outputs, rows, columns, bias, relu } = conv;
  const { tileRows, groups, blockRows, blocks, n, planes } = tiling;
  const panel = columnsOf(tile);
  const panels = n / panel;
  const outPlane = rows * columns * 4;
  const componentBytes = panels * channels * panel * 4 + GAP;
  const componentOfWeights = weightsBytes(tile, channels, outputs);
  const productBytes = tiling.outputs * n * 4 + GAP;
  const tilesBytes = COMPONENTS * componentBytes;
  return defineFunction({
    name: "winograd",
    params: ["i32", "i32", "i32", "i32", "i32", "i32"],
    build: (body, task, scratch, source, weights, biases, output) => {
      const block = body.let(blocks === 1 ? i32.const(0) : i32.remU(task, blocks));
      const firstImage = body.let(i32.mul(i32.divU(task, blocks), tiling.images));
      const endImage = body.let(i32.add(firstImage, tiling.images));
      body.if(i32.gtU(endImage, images), () => body.set(endImage, i32.const(images)));
      const tiles = scratch;
      const products = body.let(i32.add(scratch, tilesBytes));
      const plane = body.let(i32.add(products, COMPONENTS * productBytes));
      body.do(memory.fill(plane, 0, (planes.elements + 16) * 4));

      const rowsOf = emitRowsOf(body, planes, block, blockRows);
      // Tiles go to panels, four by four: [component][panel][channel][vector of the panel].
      const vector = body.let(i32.const(0));
      body.for(firstImage, endImage, 1, (image) => {
        const from = body.let(i32.add(source, i32.mul(image, channels * height * width * 4)));
        const firstVector = body.let(vector);
        const to = body.local("i32");
        body.for(
          0,
          channels,
          1,
          (channel) => {
            body.set(vector, firstVector);
            const place = (): void =>
              body.set(
                to,
                i32.add(
                  i32.add(
                    tiles,
                    i32.mul(i32.add(i32.mul(i32.divU(vector, tile.vectors), channels), channel), panel * 4),
                  ),
                  i32.shl(i32.remU(vector, tile.vectors), 4),
                ),
              );
            place();
            emitTiles(body, planes, blockRows, groups, rowsOf, from, plane, (element) => {
              emitTransformInput(body, element, (component, value) =>
                body.do(v128.store(to, value, component * componentBytes)),
              );
              body.increment(vector, 1);
              place();
            });
            body.increment(from, height * width * 4);
          },
          { atLeastOnce: true },
        );
      });
      const usedPanels = body.let(i32.divU(i32.add(vector, tile.vectors - 1), tile.vectors));

      const m0 = body.let(i32.const(0));
      body.forever((leaveOutputs) => {
        const m1 = body.let(i32.add(m0, tiling.outputs));
        body.if(i32.gtU(m1, outputs), () => body.set(m1, i32.const(outputs)));

        const a = body.local("i32");
        const at = body.local("i32");
        const to = body.local("i32");
        body.for(
          0,
          COMPONENTS,
          1,
          (component) => {
            const b = body.let(i32.add(tiles, i32.mul(component, componentBytes)));
            const panelTo = body.let(i32.add(products, i32.mul(component, productBytes)));
            const firstA = body.let(
              i32.add(weights, i32.add(i32.mul(component, componentOfWeights), i32.mul(m0, channels * 4))),
            );
            body.for(
              0,
              usedPanels,
              1,
              () => {
                body.set(a, firstA);
                body.set(to, panelTo);
                body.for(
                  m0,
                  m1,
                  tile.rows,
                  () => {
                    body.set(at, b);
                    emitTileProduct(body, {
                      tile,
                      rowsPacked: tile.rows,
                      k: channels,
                      a,
                      b: at,
                      walk: { kind: "stride", bytes: panel * 4 },
                    }).forEach((vectors, row) => {
                      vectors.forEach((sum, j) => {
                        body.do(v128.store(to, sum, (row * n + 4 * j) * 4));
                      });
                    });
                    body.increment(to, tile.rows * n * 4);
                  },
                  { atLeastOnce: true },
                );
                body.increment(b, channels * panel * 4);
                body.increment(panelTo, panel * 4);
              },
              { atLeastOnce: true },
            );
          },
          { atLeastOnce: true },
        );

        // Back to images: output m of every image and row of tiles.
        body.for(
          m0,
          m1,
          1,
          (m) => {
            const from = body.let(i32.add(products, i32.mul(i32.sub(m, m0), n * 4)));
            const shift = bias ? body.let(v128.load32Splat(i32.add(biases, i32.mul(m, 4)))) : undefined;
            const finish = (value: V128): Local<"v128"> => {
              const sum = shift ? f32x4.add(value, shift) : value;
              return body.let(relu ? reluF32x4(sum) : sum);
            };
            body.for(firstImage, endImage, 1, (image) => {
              const out = body.let(i32.add(output, i32.mul(i32.add(i32.mul(image, outputs), m), outPlane)));
              body.increment(out, i32.mul(block, 2 * blockRows * columns * 4));
              const row = body.let(i32.mul(block, blockRows));
              body.for(
                0,
                blockRows,
                1,
                () => {
                  const end = body.let(out);
                  const emitGroup = (validColumns: number): void => {
                    const components = [0, 1, 2, 3].map((y) =>
                      [0, 1, 2, 3].map((x) => v128.load(from, (4 * y + x) * productBytes)),
                    );
                    const columnsBack = [0, 1, 2, 3].map((x) =>
                      transformOutput(
                        body,
                        components.map((values) => body.let(values[x] as V128)),
                      ),
                    );
                    const write = (y: number): void => {
                      const [even, odd] = transformOutput(
                        body,
                        columnsBack.map((column) => column[y] as V128),
                      ).map(finish) as [Local<"v128">, Local<"v128">];
                      [v128.shuffle(even, odd, [0, 4, 1, 5]), v128.shuffle(even, odd, [2, 6, 3, 7])].forEach(
                        (value, j) => {
                          const count = Math.min(4, validColumns - 4 * j);
                          if (count > 0)
                            storeFixedLanes(body, end, value, count, {
                              offset: y * columns * 4 + 16 * j,
                            });
                        },
                      );
                    };
                    write(0);
                    if (rows % 2 === 0) write(1);
                    else body.if(i32.ltU(i32.add(i32.mul(row, 2), 1), rows), () => write(1));
                  };
                  body.if(
                    i32.ltU(row, tileRows),
                    () => {
                      const full = Math.floor(columns / 8);
                      if (full > 0)
                        body.for(
                          0,
                          full,
                          1,
                          () => {
                            emitGroup(8);
                            body.increment(from, 16);
                            body.increment(end, 32);
                          },
                          { atLeastOnce: true },
                        );
                      if (columns % 8 > 0) {
                        emitGroup(columns % 8);
                        body.increment(from, 16);
                      }
                    },
                    () => body.increment(from, groups * 16),
                  );
                  body.increment(row, 1);
                  body.increment(out, 2 * columns * 4);
                },
                { atLeastOnce: true },
              );
            });
          },
          { atLeastOnce: true },
        );
        body.set(m0, m1);
        leaveOutputs(i32.geU(m0, outputs));
      });
    },
  });
};

/** A convolution ready to run. */
export interface WinogradPlan {
  readonly key: string;
  readonly tile: Tile;
  readonly conv: WinogradConv;
  readonly tiling: Tiling;
  readonly tasks: number;
  readonly scratchBytes: number;
}

export const planWinograd = (tile: Tile, key: string, conv: WinogradConv): WinogradPlan => {
  const tiling = tilingOf(tile, conv);
  const components = COMPONENTS * (tiling.n * (conv.channels + tiling.outputs) + (2 * GAP) / 4);
  const elements = components + tiling.planes.elements + 16 + columnsOf(tile);
  return {
    key,
    tile,
    conv,
    tiling,
    tasks: tiling.blocks * Math.ceil(conv.images / tiling.images),
    scratchBytes: elements * 4,
  };
};

export const runWinograd = (
  runtime: Runtime,
  plan: WinogradPlan,
  addresses: { readonly source: number; readonly weights: number; readonly bias: number; readonly output: number },
): void => {
  const { key, tile, conv, tasks, scratchBytes } = plan;
  const panels = Math.ceil(conv.outputs / tile.rows);
  runtime.withTemporary(COMPONENTS * weightsBytes(tile, conv.channels, conv.outputs), (transformed) => {
    runtime.run(`weights ${key}`, () => weightsProgram(tile, conv), panels, [addresses.weights, transformed]);
    const args = [addresses.source, transformed, addresses.bias, addresses.output];
    runtime.run(key, () => winogradProgram(plan), tasks, args, scratchBytes);
  });
};
