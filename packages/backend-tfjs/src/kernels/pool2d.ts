/** Pooling on images [N, H, W, C]. tfjs pads explicitly and rounds down: ceil mode is padding at the end. */
import {
  type AvgPoolAttrs,
  type Padding2d,
  type Pair,
  type PoolAttrs,
  type Shape,
  sizeOf,
} from "@striate/core/backend";
import type { Bridge, Info, Optional } from "../bridge.js";
import type { Device } from "../device.js";
import { choose, type Primitive, type Probe } from "../probe.js";
import { imageShape, type View } from "../storage.js";
import type { Indexing } from "./gather.js";
import { crop, everyNth, expandTo, padBy, spread } from "./movement.js";

type Pool = (x: Info, attrs: PoolGeometry) => Info;
type MaxPoolGrad = (x: Info, y: Info, gy: Info, attrs: PoolGeometry) => Info;
type AvgPoolGrad = (gy: Info, attrs: PoolGeometry, shape: Shape) => Info;

interface PoolGeometry {
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Enough at the end for every window. */
  readonly padding: Padding2d;
}

type Image = readonly [number, number, number, number];

const attrsOf = ({ kernel, stride, padding: [top, bottom, left, right] }: PoolGeometry): object => ({
  filterSize: [...kernel],
  strides: [...stride],
  pad: [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ],
});

const sizes = ([, , height, width]: Shape): Pair => [height as number, width as number];

/** With what ceil mode reaches past the end. */
const geometryOf = (
  { kernel, stride, padding: [top, bottom, left, right] }: PoolAttrs,
  image: Pair,
  output: Pair,
): PoolGeometry => {
  const missing = (axis: 0 | 1, before: number): number =>
    (output[axis] - 1) * stride[axis] + kernel[axis] - before - image[axis];
  return { kernel, stride, padding: [top, Math.max(bottom, missing(0, top)), left, Math.max(right, missing(1, left))] };
};

const isPlain = ({ dilation }: PoolAttrs): boolean => dilation[0] === 1 && dilation[1] === 1;

// ---- known answers --------------------------------------------------------------------------------------------------

const plain: PoolGeometry = { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] };
const padded: PoolGeometry = { kernel: [2, 2], stride: [1, 1], padding: [1, 0, 0, 1] };

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

const image = (device: Device, values: readonly number[], height: number, width: number): Info =>
  device.place(Float32Array.from(values), [1, height, width, 1]);

const maxProbes = (device: Device): readonly Probe<Pool>[] =>
  (
    [
      [[1, 2, 3, 4], plain, [4]],
      [[-4, -1, -3, -2], plain, [-1]],
      [[1, nan, 3, 4], plain, [nan]],
      [[-inf, -inf, -inf, -inf], plain, [-inf]],
      [[-5, -6, -7, -8], padded, [-5, -6, -5, -6]],
    ] as const
  ).map(([values, geometry, expected]) => ({
    code: `tf.maxPool(tf.tensor4d([${values.join(", ")}], [1, 2, 2, 1]), 2, ${geometry.stride[0]}, ${geometry === plain ? '"valid"' : "[[0, 0], [1, 0], [0, 1], [0, 0]]"})`,
    run: (f) => f(image(device, values, 2, 2), geometry),
    expected,
  }));

const maxGradProbes = (device: Device): readonly Probe<MaxPoolGrad>[] =>
  (
    [
      [[1, 2, 3, 4], [4], plain, [5], [0, 0, 0, 5]],
      [[-4, -1, -3, -2], [-1], plain, [5], [0, 5, 0, 0]],
      [[0, 0, 0, 0], [0], plain, [5], [5, 0, 0, 0]],
      [[3, 3, 3, 3], [3], plain, [5], [5, 0, 0, 0]],
      [[-5, -6, -7, -8], [-5, -6, -5, -6], padded, [1, 2, 4, 8], [5, 10, 0, 0]],
    ] as const
  ).map(([x, y, geometry, gy, expected]) => ({
    code: `the gradient ${gy.length === 1 ? gy[0] : `[${gy.join(", ")}]`} of tf.maxPool(tf.tensor4d([${x.join(", ")}], [1, 2, 2, 1]), 2, ${geometry.stride[0]}, ${geometry === plain ? '"valid"' : "[[0, 0], [1, 0], [0, 1], [0, 0]]"})`,
    run: (f) => {
      const side = Math.sqrt(y.length);
      return f(image(device, x, 2, 2), image(device, y, side, side), image(device, gy, side, side), geometry);
    },
    expected,
  }));

// ---- ways -----------------------------------------------------------------------------------------------------------

/** `ordered`: where there is no NaN. */
const maxPoolOf = (device: Device, ordered: boolean): Primitive<Pool> => ({
  op: ordered ? "maxPool2d.ordered" : "maxPool2d",
  ways: [
    { status: "native", kernels: ["MaxPool"], f: (x, geometry) => device.run("MaxPool", { x }, attrsOf(geometry)) },
  ],
  probes: maxProbes(device).filter(({ expected }) => !ordered || !expected.some(Number.isNaN)),
});

const maxPoolGradOf = (device: Device): Primitive<MaxPoolGrad> => ({
  op: "maxPool2dGrad",
  ways: [
    {
      status: "native",
      kernels: ["MaxPoolGrad"],
      f: (input, output, dy, geometry) => device.run("MaxPoolGrad", { dy, input, output }, attrsOf(geometry)),
    },
  ],
  probes: maxGradProbes(device),
});

/** The positions y·W + x. */
const positionsOf = (device: Device): Primitive<Pool> => ({
  op: "maxPool2d.positions",
  dtype: "int32",
  ways: [
    {
      status: "native",
      kernels: ["MaxPoolWithArgmax", "FloorDiv"],
      f: (x, geometry) => {
        const attrs = { ...attrsOf(geometry), includeBatchInIndex: false };
        const [, indices] = device.runAll("MaxPoolWithArgmax", { x }, attrs) as [Info, Info];
        return device.run("FloorDiv", { a: indices, b: device.place(Int32Array.of(x.shape[3] as number), []) });
      },
    },
  ],
  probes: [
    {
      code: "tf.maxPoolWithArgmax(tf.tensor4d([-4, -1, -1, -2], [1, 2, 2, 1]), 2, 2, 'valid')",
      run: (f) => f(image(device, [-4, -1, -1, -2], 2, 2), plain),
      expected: [1],
    },
    {
      code: "tf.maxPoolWithArgmax(tf.tensor4d([1, 2, 3, 4, 8, 7, 6, 5, 0, 0, 9, 9], [1, 2, 3, 2]), 2, 1, 'valid')",
      run: (f) =>
        f(device.place(Float32Array.of(1, 2, 3, 4, 8, 7, 6, 5, 0, 0, 9, 9), [1, 2, 3, 2]), {
          ...plain,
          stride: [1, 1],
        }),
      expected: [3, 3, 5, 5],
    },
    {
      code: "tf.maxPoolWithArgmax(tf.tensor4d([-5, -6, -7, -8], [1, 2, 2, 1]), 2, 1, [[0, 0], [1, 0], [0, 1], [0, 0]])",
      run: (f) => f(image(device, [-5, -6, -7, -8], 2, 2), padded),
      expected: [0, 1, 0, 1],
    },
  ],
});

const avgPoolOf = (device: Device): Primitive<Pool> => ({
  op: "avgPool2d",
  ways: [
    { status: "native", kernels: ["AvgPool"], f: (x, geometry) => device.run("AvgPool", { x }, attrsOf(geometry)) },
    { status: "host", kernels: [], f: (x, geometry) => meansOnHost(device, x, geometry) },
  ],
  probes: [
    {
      code: 'tf.avgPool(tf.tensor4d([1, 2, 3, 6], [1, 2, 2, 1]), 2, 2, "valid")',
      run: (f) => f(image(device, [1, 2, 3, 6], 2, 2), plain),
      expected: [3],
    },
    {
      code: "tf.avgPool(tf.tensor4d([1, 2, 3, 6], [1, 2, 2, 1]), 2, 1, [[0, 0], [1, 0], [0, 1], [0, 0]])",
      run: (f) => f(image(device, [1, 2, 3, 6], 2, 2), padded),
      expected: [1.5, 2, 3, 4],
    },
    {
      code: 'tf.avgPool(tf.tensor4d([1, NaN, 3, 6], [1, 2, 2, 1]), 2, 2, "valid")',
      run: (f) => f(image(device, [1, nan, 3, 6], 2, 2), plain),
      expected: [nan],
    },
  ],
});

const avgPoolGradOf = (device: Device): Primitive<AvgPoolGrad> => ({
  op: "avgPool2dGrad",
  ways: [
    {
      status: "native",
      kernels: ["AvgPoolGrad"],
      // Of the input it takes no more than the shape.
      f: (dy, geometry, shape) =>
        device.run("AvgPoolGrad", { dy, input: { ...dy, shape: [...shape] } }, attrsOf(geometry)),
    },
  ],
  probes: [
    {
      code: 'the gradient 4 of tf.avgPool(tf.zeros([1, 2, 2, 1]), 2, 2, "valid")',
      run: (f) => f(image(device, [4], 1, 1), plain, [1, 2, 2, 1]),
      expected: [1, 1, 1, 1],
    },
    {
      code: "the gradient [4, 8, 16, 32] of tf.avgPool(tf.zeros([1, 2, 2, 1]), 2, 1, [[0, 0], [1, 0], [0, 1], [0, 0]])",
      run: (f) => f(image(device, [4, 8, 16, 32], 2, 2), padded, [1, 2, 2, 1]),
      // tfjs divides by the whole window, which the bridge makes good.
      expected: [5, 15, 4, 12],
    },
  ],
});

// ---- on the host ----------------------------------------------------------------------------------------------------

/** Distances between neighbours along each axis of [N, C, H, W], in elements. */
type Strides = readonly [n: number, c: number, h: number, w: number];

const stridesOf = ([, channels, height, width]: Image, asImage: boolean): Strides =>
  asImage
    ? [height * width * channels, 1, width * channels, channels]
    : [channels * height * width, height * width, width, 1];

interface Maxima {
  readonly y: Float32Array;
  readonly positions: Int32Array;
}

/** The first of the greatest of each window, NaN above all, where `x` and the results are laid out by their strides. */
const maximaOf = (
  x: ArrayLike<number>,
  shape: Image,
  { kernel, stride, padding, dilation }: PoolAttrs,
  [oh, ow]: Pair,
  asImage: boolean,
): Maxima => {
  const [batch, channels, height, width] = shape;
  const [xn, xc, xh, xw] = stridesOf(shape, asImage);
  const [yn, yc, yh, yw] = stridesOf([batch, channels, oh, ow], asImage);
  const y = new Float32Array(batch * channels * oh * ow);
  const positions = new Int32Array(y.length);
  for (let n = 0; n < batch; n++)
    for (let oy = 0; oy < oh; oy++) {
      const top = oy * stride[0] - padding[0];
      const firstRow = top < 0 ? Math.ceil(-top / dilation[0]) : 0;
      const rows = Math.min(kernel[0], Math.ceil((height - top) / dilation[0]));
      for (let ox = 0; ox < ow; ox++) {
        const left = ox * stride[1] - padding[2];
        const firstColumn = left < 0 ? Math.ceil(-left / dilation[1]) : 0;
        const columns = Math.min(kernel[1], Math.ceil((width - left) / dilation[1]));
        const base = n * yn + oy * yh + ox * yw;
        for (let c = 0; c < channels; c++) {
          let best = Number.NEGATIVE_INFINITY;
          let position = -1;
          for (let ky = firstRow; ky < rows; ky++) {
            const row = top + ky * dilation[0];
            for (let kx = firstColumn; kx < columns; kx++) {
              const column = left + kx * dilation[1];
              const value = x[n * xn + c * xc + row * xh + column * xw] as number;
              if (position < 0 || value > best || (Number.isNaN(value) && !Number.isNaN(best))) {
                best = value;
                position = row * width + column;
              }
            }
          }
          y[base + c * yc] = best;
          positions[base + c * yc] = position;
        }
      }
    }
  return { y, positions };
};

/** The mean of the elements inside the image of each window. */
const meansOnHost = (
  device: Device,
  x: Info,
  { kernel, stride, padding: [top, bottom, left, right] }: PoolGeometry,
): Info => {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const oh = Math.floor((height + top + bottom - kernel[0]) / stride[0]) + 1;
  const ow = Math.floor((width + left + right - kernel[1]) / stride[1]) + 1;
  const values = device.valuesOf(x);
  const means = new Float32Array(batch * oh * ow * channels);
  const sums = new Float64Array(channels);
  for (let n = 0; n < batch; n++)
    for (let oy = 0; oy < oh; oy++) {
      const [firstRow, lastRow] = [
        Math.max(0, oy * stride[0] - top),
        Math.min(height, oy * stride[0] - top + kernel[0]),
      ];
      for (let ox = 0; ox < ow; ox++) {
        const first = Math.max(0, ox * stride[1] - left);
        const last = Math.min(width, ox * stride[1] - left + kernel[1]);
        sums.fill(0);
        for (let row = firstRow; row < lastRow; row++)
          for (let column = first; column < last; column++) {
            const from = ((n * height + row) * width + column) * channels;
            for (let c = 0; c < channels; c++) sums[c] = (sums[c] as number) + (values[from + c] as number);
          }
        const to = ((n * oh + oy) * ow + ox) * channels;
        const count = (lastRow - firstRow) * (last - first);
        for (let c = 0; c < channels; c++) means[to + c] = (sums[c] as number) / count;
      }
    }
  return device.place(means, [batch, oh, ow, channels]);
};

/** gy added up at the positions. */
const scatterOnHost = (
  gy: ArrayLike<number>,
  positions: ArrayLike<number>,
  gyShape: Image,
  shape: Image,
  asImage: boolean,
): Float32Array => {
  const [batch, channels, oh, ow] = gyShape;
  const [, , , width] = shape;
  const [xn, xc, xh, xw] = stridesOf(shape, asImage);
  const [yn, yc, yh, yw] = stridesOf(gyShape, asImage);
  const gx = new Float32Array(sizeOf(shape));
  for (let n = 0; n < batch; n++)
    for (let oy = 0; oy < oh; oy++)
      for (let ox = 0; ox < ow; ox++) {
        const base = n * yn + oy * yh + ox * yw;
        for (let c = 0; c < channels; c++) {
          const at = base + c * yc;
          const position = positions[at] as number;
          const row = Math.trunc(position / width);
          const to = n * xn + c * xc + row * xh + (position - row * width) * xw;
          gx[to] = (gx[to] as number) + (gy[at] as number);
        }
      }
  return gx;
};

/**
 * Loops on the host, for the positions above all. The maxima are tfjs's where it gets all right but NaN and there is none; then
 * the positions wait until somebody asks.
 */
const maxPoolOnHost = (bridge: Bridge, ordered: Pool | undefined): Optional<"maxPool2d" | "maxPool2dGrad"> => {
  const { device, layouts, primitives, collector } = bridge;
  for (const row of collector.rows)
    if (row.op === "maxPool2d" || row.op === "maxPool2dGrad") Object.assign(row, { status: "host" });

  const hasNan = (x: Info): boolean => {
    const greatest = primitives.reduce.max.float32(device.view(x, [sizeOf(x.shape)]), [0]);
    return Number.isNaN(device.valuesOf(greatest)[0]);
  };

  return {
    maxPool2d: {
      run: ({ inputs: [x], outputs: [y, indices], attrs }) => {
        const asImage = layouts.prefersImage(x);
        const input = asImage ? layouts.image(x) : layouts.flat(x);
        const output = sizes(y.shape);
        const { shape } = x;
        const maxima = (): Maxima => maximaOf(device.valuesOf(input), shape as Image, attrs, output, asImage);
        if (asImage && ordered && isPlain(attrs) && !hasNan(input)) {
          const values = ordered(input, geometryOf(attrs, sizes(x.shape), output));
          layouts.putImage(y, values);
          layouts.clear(indices.storage);
          indices.storage.pool = {
            x: device.keep({ ...input }),
            y: device.keep({ ...values }),
            positions: () => device.place(maxima().positions, values.shape),
          };
          return;
        }
        const { y: values, positions } = maxima();
        const own = asImage ? imageShape(y.shape) : y.shape;
        const put = asImage ? layouts.putImage : layouts.put;
        put(y, device.place(values, own));
        put(indices, device.place(positions, own));
      },
    },
    maxPool2dGrad: {
      run: ({ inputs: [gy, indices], outputs: [gx] }) => {
        const asImage = indices.storage.pool !== null || layouts.prefersImage(gy) || layouts.prefersImage(indices);
        const values = (t: View): ArrayLike<number> => device.valuesOf(asImage ? layouts.image(t) : layouts.flat(t));
        const sums = scatterOnHost(values(gy), values(indices), gy.shape as Image, gx.shape as Image, asImage);
        const shape = asImage ? imageShape(gx.shape) : gx.shape;
        (asImage ? layouts.putImage : layouts.put)(gx, device.place(sums, shape));
      },
    },
  };
};

// ---- by tfjs's other kernels ------------------------------------------------------------------------------------------

/** Pointwise over the positions of the window, one after the other. It is exact, on GPUs too, and knows dilation. */
const maxPoolByTaps = (bridge: Bridge): Optional<"maxPool2d" | "maxPool2dGrad"> => {
  const { device, layouts, primitives, collector } = bridge;
  const { run } = device;
  for (const row of collector.rows)
    if (row.op === "maxPool2d" || row.op === "maxPool2dGrad") Object.assign(row, { status: "composed" });

  const forEachTap = ({ kernel }: PoolAttrs, visit: (ky: number, kx: number) => void): void => {
    for (let ky = 0; ky < kernel[0]; ky++) for (let kx = 0; kx < kernel[1]; kx++) visit(ky, kx);
  };

  /** y·W + x of what a tap sees, [1, oh, ow, 1]; -1 where that is padding. */
  const positionsOfTap = (attrs: PoolAttrs, ky: number, kx: number, [height, width]: Pair, [oh, ow]: Pair): Info => {
    const positions = new Int32Array(oh * ow);
    for (let i = 0; i < positions.length; i++) {
      const row = Math.floor(i / ow) * attrs.stride[0] + ky * attrs.dilation[0] - attrs.padding[0];
      const column = (i % ow) * attrs.stride[1] + kx * attrs.dilation[1] - attrs.padding[2];
      positions[i] = row < 0 || row >= height || column < 0 || column >= width ? -1 : row * width + column;
    }
    return device.place(positions, [1, oh, ow, 1]);
  };

  /** Rows and columns that all windows together reach over. */
  const reachOf = ({ kernel, stride, dilation }: PoolAttrs, [oh, ow]: Pair): Pair => [
    (oh - 1) * stride[0] + dilation[0] * (kernel[0] - 1) + 1,
    (ow - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1,
  ];

  const or = (a: Info, b: Info): Info => run("LogicalOr", { a, b });
  const and = (a: Info, b: Info): Info => run("LogicalAnd", { a, b });
  const isNan = (x: Info): Info => run("IsNan", { x });

  return {
    maxPool2d: {
      run: ({ inputs: [x], outputs: [y, indices], attrs }) => {
        const input = layouts.image(x);
        const [n, height, width, channels] = input.shape as [number, number, number, number];
        const [oh, ow] = sizes(y.shape);
        const [rows, columns] = reachOf(attrs, [oh, ow]);
        const [top, , left] = attrs.padding;
        const after = [Math.max(0, rows - top - height), Math.max(0, columns - left - width)] as const;
        const before = [0, top, left, 0];
        const padded = padBy(bridge, input, before, [0, ...after, 0], Number.NEGATIVE_INFINITY);
        let best: Info | undefined;
        let at: Info | undefined;
        forEachTap(attrs, (ky, kx) => {
          const extent = [n, (oh - 1) * attrs.stride[0] + 1, (ow - 1) * attrs.stride[1] + 1, channels];
          const seen = crop(bridge, padded, [0, ky * attrs.dilation[0], kx * attrs.dilation[1], 0], extent);
          const value = everyNth(bridge, everyNth(bridge, seen, 1, attrs.stride[0], oh), 2, attrs.stride[1], ow);
          const place = positionsOfTap(attrs, ky, kx, [height, width], [oh, ow]);
          const position = expandTo(bridge, place, [n, oh, ow, channels]);
          if (!best || !at) {
            [best, at] = [value, position];
            return;
          }
          // Greater, or the first NaN, or the first that is no padding.
          const greater = primitives.compare.lt.float32(best, value);
          const nan = and(isNan(value), run("LogicalNot", { x: isNan(best) }));
          const zero = device.place(Int32Array.of(0), []);
          const first = and(primitives.compare.lt.int32(at, zero), primitives.compare.le.int32(zero, position));
          const condition = or(or(greater, nan), first);
          best = primitives.select.float32(condition, value, best);
          at = primitives.select.int32(condition, position, at);
        });
        layouts.putImage(y, best as Info);
        layouts.putImage(indices, at as Info);
      },
    },
    maxPool2dGrad: {
      run: ({ inputs: [gy, indices], outputs: [gx], attrs }) => {
        const [gradient, at] = [layouts.image(gy), layouts.image(indices)];
        const [n, channels, height, width] = gx.shape as Image;
        const [oh, ow] = sizes(gy.shape);
        const [rows, columns] = reachOf(attrs, [oh, ow]);
        const [top, , left] = attrs.padding;
        const size = [n, Math.max(rows, top + height), Math.max(columns, left + width), channels];
        const zeros = run("ZerosLike", { x: gradient });
        let sum: Info | undefined;
        forEachTap(attrs, (ky, kx) => {
          const place = positionsOfTap(attrs, ky, kx, [height, width], [oh, ow]);
          const part = primitives.select.float32(primitives.compare.eq.int32(at, place), gradient, zeros);
          const apart = spread(bridge, spread(bridge, part, 1, attrs.stride[0]), 2, attrs.stride[1]);
          const before = [0, ky * attrs.dilation[0], kx * attrs.dilation[1], 0];
          const rest = apart.shape.map((m, i) => (size[i] as number) - m - (before[i] as number));
          const placed = padBy(bridge, apart, before, rest, 0);
          sum = sum ? primitives.binary.add.float32(sum, placed) : placed;
        });
        layouts.putImage(gx, crop(bridge, sum as Info, [0, top, left, 0], [n, height, width, channels]));
      },
    },
  };
};

// ---- kernels --------------------------------------------------------------------------------------------------------

const maxPoolByTfjs = (
  { device, layouts }: Bridge,
  indexing: Indexing,
  maxPool: Pool,
  maxPoolGrad: MaxPoolGrad,
  positions: Pool,
): Optional<"maxPool2d" | "maxPool2dGrad"> => ({
  maxPool2d: {
    supports: ({ attrs }) => isPlain(attrs),
    run: ({ inputs: [x], outputs: [y, indices], attrs }) => {
      const geometry = geometryOf(attrs, sizes(x.shape), sizes(y.shape));
      const input = layouts.image(x);
      const output = maxPool(input, geometry);
      layouts.putImage(y, output);
      // What backward needs is kept; the positions themselves are seldom asked for.
      layouts.clear(indices.storage);
      indices.storage.pool = {
        x: device.keep({ ...input }),
        y: device.keep({ ...output }),
        positions: () => positions(input, geometry),
      };
    },
  },
  maxPool2dGrad: {
    supports: ({ attrs }) => isPlain(attrs),
    run: ({ inputs: [gy, indices], outputs: [gx], attrs }) => {
      const { pool } = indices.storage;
      if (pool) {
        const geometry = geometryOf(attrs, sizes(gx.shape), sizes(gy.shape));
        layouts.putImage(gx, maxPoolGrad(pool.x, pool.y, layouts.image(gy), geometry));
        return;
      }
      const [n, channels, height, width] = gx.shape as Image;
      const planes = { ...indices, shape: [n * channels, sizeOf(gy.shape) / (n * channels)] };
      const at = indexing.positions(planes, [n * channels, height * width], 1);
      const updates = device.view(layouts.flat(gy), [sizeOf(gy.shape)]);
      layouts.put(gx, indexing.scatter(at, updates, sizeOf(gx.shape)));
    },
  },
});

/** Positions of windows, by axis: how many elements of the image, and how many that count in the divisor. */
const countsAlong = (
  attrs: AvgPoolAttrs,
  axis: 0 | 1,
  image: number,
  output: number,
): readonly [number[], number[]] => {
  const [before, after] = axis === 0 ? [attrs.padding[0], attrs.padding[1]] : [attrs.padding[2], attrs.padding[3]];
  const within = (low: number, high: number): number[] =>
    Array.from({ length: output }, (_, i) => {
      const start = i * attrs.stride[axis] - before;
      return Math.min(high, start + attrs.kernel[axis]) - Math.max(low, start);
    });
  const inside = within(0, image);
  return [inside, attrs.countIncludePad ? within(-before, image + after) : inside];
};

/** f(elements in the image, divisor) of each window as [1, oh, ow, 1]; null where it is 1 throughout. */
const factors = (
  device: Device,
  attrs: AvgPoolAttrs,
  image: Pair,
  output: Pair,
  f: (inside: number, divisor: number) => number,
): Info | null => {
  const [rows, rowDivisors] = countsAlong(attrs, 0, image[0], output[0]);
  const [columns, columnDivisors] = countsAlong(attrs, 1, image[1], output[1]);
  const values = Float32Array.from(
    rows.flatMap((r, y) => columns.map((c, x) => f(r * c, (rowDivisors[y] as number) * (columnDivisors[x] as number)))),
  );
  return values.every((value) => value === 1) ? null : device.place(values, [1, ...output, 1]);
};

export const pool2dKernels = async (
  bridge: Bridge,
  indexing: Indexing,
): Promise<Optional<"maxPool2d" | "maxPool2dGrad" | "avgPool2d" | "avgPool2dGrad">> => {
  const { device, layouts, collector, primitives } = bridge;
  const maxPool = await collector.optional(maxPoolOf(device, false));
  const maxPoolGrad = await collector.optional(maxPoolGradOf(device));
  const positions = await collector.optional(positionsOf(device));
  const avgPool = await collector.optional(avgPoolOf(device));
  const avgPoolGrad = await collector.optional(avgPoolGradOf(device));
  const scaled = (x: Info, factor: Info | null): Info => (factor ? primitives.binary.mul.float32(x, factor) : x);
  return {
    ...(maxPool && maxPoolGrad && positions
      ? maxPoolByTfjs(bridge, indexing, maxPool, maxPoolGrad, positions)
      : device.hostMemory
        ? maxPoolOnHost(bridge, maxPool ?? (await choose(device, { ...maxPoolOf(device, true), optional: true })).f)
        : maxPoolByTaps(bridge)),
    ...(avgPool && {
      avgPool2d: {
        supports: ({ attrs }) => isPlain(attrs),
        run: ({ inputs: [x], outputs: [y], attrs }) => {
          const [image, output] = [sizes(x.shape), sizes(y.shape)];
          const means = avgPool(layouts.image(x), geometryOf(attrs, image, output));
          // tfjs divides by the elements inside the image.
          layouts.putImage(
            y,
            scaled(
              means,
              factors(device, attrs, image, output, (inside, divisor) => inside / divisor),
            ),
          );
        },
      },
    }),
    ...(avgPoolGrad && {
      avgPool2dGrad: {
        supports: ({ attrs }) => isPlain(attrs),
        run: ({ inputs: [gy], outputs: [gx], attrs }) => {
          const [image, output] = [sizes(gx.shape), sizes(gy.shape)];
          const area = attrs.kernel[0] * attrs.kernel[1];
          // Here tfjs divides by the whole window.
          const factor = factors(device, attrs, image, output, (_, divisor) => area / divisor);
          const gradient = scaled(layouts.image(gy), factor);
          layouts.putImage(gx, avgPoolGrad(gradient, geometryOf(attrs, image, output), imageShape(gx.shape)));
        },
      },
    }),
  };
};
