/**
 * The least a backend can be: the required kernels, as short as possible, without a thought for speed. Core's own tests
 * run on it, and with that every decomposition; a backend author may read it as the shortest complete example.
 */
import {
  type Backend,
  type BinaryKind,
  broadcastStrides,
  type CompareKind,
  defineBackend,
  type HostArray,
  hostArray,
  IndexError,
  type Operand,
  rowMajorStrides,
  type Shape,
  sizeOf,
  type UnaryKind,
  type Window2d,
} from "../backend.js";

interface Memory {
  data: HostArray | null;
}
type View = Operand<Memory>;

const elements = (view: View): HostArray => {
  if (!view.storage.data) throw new Error("used after free");
  return view.storage.data;
};

/** Calls `visit` with the coordinates of every element, in row-major order. */
const forEachIndex = (shape: Shape, visit: (index: readonly number[], flat: number) => void): void => {
  const index = shape.map(() => 0);
  const count = sizeOf(shape);
  for (let flat = 0; flat < count; flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
};

const at = (index: readonly number[], strides: readonly number[]): number =>
  index.reduce((sum, i, axis) => sum + i * (strides[axis] as number), 0);

/** y = f(inputs…), element by element, with broadcasting. */
const pointwise = (inputs: readonly View[], output: View, f: (...values: number[]) => number): void => {
  const strides = inputs.map((x) => broadcastStrides(x.shape, output.shape));
  const data = inputs.map(elements);
  const y = elements(output);
  forEachIndex(output.shape, (index, flat) => {
    y[flat] = f(...data.map((d, i) => d[at(index, strides[i] as number[])] as number));
  });
};

/** The error function by its Maclaurin series, or the continued fraction of its complement (Abramowitz and Stegun 7.1). */
const erf = (x: number): number => {
  const z = Math.abs(x);
  if (!(z < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  if (z < 1.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 150; k > 0; k--) fraction = k / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * (z + fraction)));
};

const roundHalfEven = (x: number): number => {
  const down = Math.floor(x);
  const rest = x - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
};

const unary: { readonly [K in UnaryKind]: (x: number) => number } = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: (x) => (x === 0 ? 0 : Math.sign(x)),
  square: (x) => x * x,
  relu: (x) => (x > 0 || Number.isNaN(x) ? x : 0),
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  erf,
};

const binary: { readonly [K in BinaryKind]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
  pow: (a, b) => (a === 1 ? 1 : a ** b),
};

const compare: { readonly [K in CompareKind]: (a: number, b: number) => boolean } = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
};

const fold = {
  sum: [0, binary.add],
  max: [Number.NEGATIVE_INFINITY, Math.max],
  min: [Number.POSITIVE_INFINITY, Math.min],
} as const;

/** Pairs of (position in the image, position in the columns) that unfolding connects. */
const forEachWindowElement = (
  image: Shape,
  window: Window2d,
  [oh, ow]: readonly [number, number],
  visit: (pixel: number, column: number) => void,
): void => {
  const [n, channels, height, width] = image as [number, number, number, number];
  const [kh, kw] = window.kernel;
  forEachIndex([n, channels, kh, kw, oh, ow], (index, column) => {
    const [b, c, ky, kx, y, x] = index as [number, number, number, number, number, number];
    const row = y * window.stride[0] + ky * window.dilation[0] - window.padding[0];
    const col = x * window.stride[1] + kx * window.dilation[1] - window.padding[2];
    if (row >= 0 && row < height && col >= 0 && col < width)
      visit(((b * channels + c) * height + row) * width + col, column);
  });
};

const checked = (op: string, index: number, n: number): number => {
  if (index < 0 || index >= n) throw new IndexError(`${op}: index ${index} is outside [0, ${n})`);
  return index;
};

export const createMinimalBackend = async (): Promise<Backend> =>
  defineBackend<Memory>({
    apiVersion: 1,
    name: "minimal",
    caps: {
      dtypes: new Set(["float32", "float64", "int32", "uint8", "bool"]),
      maxBufferBytes: 2 ** 30,
      syncRead: true,
      deterministic: true,
      nan: "propagates",
    },
    // Uninitialised memory is anything but zero.
    alloc: ({ shape, dtype }) => ({ data: hostArray(dtype, sizeOf(shape)).fill(77) as HostArray }),
    free: (memory) => {
      memory.data = null;
    },
    write: (destination, data) => elements(destination).set(data),
    read: async (source) => elements(source).slice() as HostArray,
    readSync: (source) => elements(source).slice() as HostArray,
    flush: () => {},
    sync: async () => {},
    lost: new Promise(() => {}),
    dispose: () => {},
    kernels: {
      fill: ({ outputs: [y], attrs }) => void elements(y).fill(attrs.value),
      cast: ({ inputs: [x], outputs: [y] }) =>
        pointwise(
          [x],
          y,
          y.dtype === "bool" ? (v) => Number(v !== 0) : y.dtype.startsWith("float") ? (v) => v : Math.trunc,
        ),
      unary: ({ inputs, outputs: [y], attrs }) => pointwise(inputs, y, unary[attrs.kind]),
      binary: ({ inputs, outputs: [y], attrs }) =>
        pointwise(inputs, y, y.dtype === "int32" && attrs.kind === "mul" ? Math.imul : binary[attrs.kind]),
      compare: ({ inputs, outputs: [y], attrs }) =>
        pointwise(inputs, y, (a, b) => Number(compare[attrs.kind](a as number, b as number))),
      where: ({ inputs, outputs: [y] }) => pointwise(inputs, y, (c, a, b) => (c ? a : b) as number),
      reduce: ({ inputs: [x], outputs: [y], attrs }) => {
        const [start, combine] = fold[attrs.kind];
        const kept = x.shape.map((n, axis) => (attrs.axes.includes(axis) ? 1 : n));
        const strides = broadcastStrides(kept, x.shape);
        const totals = new Float64Array(elements(y).length).fill(start);
        forEachIndex(x.shape, (index, flat) => {
          const to = at(index, strides);
          totals[to] = combine(totals[to] as number, elements(x)[flat] as number);
        });
        elements(y).set(totals);
      },
      argReduce: ({ inputs: [x], outputs: [y], attrs }) => {
        const kept = x.shape.map((n, axis) => (axis === attrs.axis ? 1 : n));
        const strides = broadcastStrides(kept, x.shape);
        const best = new Float64Array(elements(y).length);
        const sign = attrs.kind === "argmax" ? 1 : -1;
        forEachIndex(x.shape, (index, flat) => {
          const to = at(index, strides);
          const value = sign * (elements(x)[flat] as number);
          const champion = best[to] as number;
          if (index[attrs.axis] === 0 || value > champion || (Number.isNaN(value) && !Number.isNaN(champion))) {
            best[to] = value;
            elements(y)[to] = index[attrs.axis] as number;
          }
        });
      },
      matmul: ({ inputs: [a, b], outputs: [y], attrs }) => {
        const k = a.shape[attrs.transposeA ? 1 : 2] as number;
        const swap = (view: View, transposed: boolean): number[] => {
          const [batch, row, col] = rowMajorStrides(view.shape) as [number, number, number];
          const step = view.shape[0] === 1 ? 0 : batch;
          return transposed ? [step, col, row] : [step, row, col];
        };
        const [sa, sb] = [swap(a, attrs.transposeA), swap(b, attrs.transposeB)];
        forEachIndex(y.shape, (index, flat) => {
          const [batch, i, j] = index as [number, number, number];
          let sum = 0;
          for (let p = 0; p < k; p++)
            sum += (elements(a)[at([batch, i, p], sa)] as number) * (elements(b)[at([batch, p, j], sb)] as number);
          elements(y)[flat] = sum;
        });
      },
      permute: ({ inputs: [x], outputs: [y], attrs }) => {
        const strides = rowMajorStrides(x.shape);
        const from = attrs.perm.map((axis) => strides[axis] as number);
        forEachIndex(y.shape, (index, flat) => {
          elements(y)[flat] = elements(x)[at(index, from)] as number;
        });
      },
      slice: ({ inputs: [x], outputs: [y], attrs }) => {
        const strides = rowMajorStrides(x.shape);
        forEachIndex(y.shape, (index, flat) => {
          const from = index.map((i, axis) => (attrs.begin[axis] as number) + i * (attrs.step[axis] as number));
          elements(y)[flat] = elements(x)[at(from, strides)] as number;
        });
      },
      pad: ({ inputs: [x], outputs: [y], attrs }) => {
        const strides = rowMajorStrides(y.shape);
        elements(y).fill(attrs.value);
        forEachIndex(x.shape, (index, flat) => {
          elements(y)[
            at(
              index.map((i, axis) => i + (attrs.before[axis] as number)),
              strides,
            )
          ] = elements(x)[flat] as number;
        });
      },
      expand: ({ inputs, outputs: [y] }) => pointwise(inputs, y, (v) => v as number),
      gather: ({ inputs: [x, index], outputs: [y], attrs }) => {
        const strides = rowMajorStrides(x.shape);
        forEachIndex(y.shape, (position, flat) => {
          const from = [...position];
          from[attrs.axis] = checked("gather", elements(index)[flat] as number, x.shape[attrs.axis] as number);
          elements(y)[flat] = elements(x)[at(from, strides)] as number;
        });
      },
      scatterAdd: ({ inputs: [x, index, source], outputs: [y], attrs }) => {
        const strides = rowMajorStrides(x.shape);
        const totals = Float64Array.from(elements(x));
        forEachIndex(index.shape, (position, flat) => {
          const to = [...position];
          to[attrs.axis] = checked("scatterAdd", elements(index)[flat] as number, x.shape[attrs.axis] as number);
          const target = at(to, strides);
          totals[target] = (totals[target] as number) + (elements(source)[flat] as number);
        });
        elements(y).set(totals);
      },
      unfold2d: ({ inputs: [x], outputs: [y], attrs }) => {
        elements(y).fill(0);
        forEachWindowElement(x.shape, attrs.window, attrs.outputSize, (pixel, column) => {
          elements(y)[column] = elements(x)[pixel] as number;
        });
      },
      fold2d: ({ inputs: [x], outputs: [y], attrs }) => {
        const totals = new Float64Array(elements(y).length);
        forEachWindowElement(y.shape, attrs.window, attrs.outputSize, (pixel, column) => {
          totals[pixel] = (totals[pixel] as number) + (elements(x)[column] as number);
        });
        elements(y).set(totals);
      },
    },
  });
