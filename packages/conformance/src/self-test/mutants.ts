/**
 * Backends built to be wrong. Each wraps a good one, here the CPU backend, and breaks one promise; `cases` says where the
 * suite must notice. Naive kernels stand in for the mistakes that no change of attributes can make.
 */
import { createCpuBackend } from "@striate/backend-cpu";
import {
  type Attrs,
  type Backend,
  type Call,
  delegate,
  type HostArray,
  isFloat,
  type OpName,
  type OptionalKernel,
  type OptionalOp,
  type RequiredOp,
  type Storage,
} from "@striate/core/backend";
import { fromHalf, toHalf } from "../number-format.js";
import type { Group } from "../results.js";

/** The CPU backend's storage, which these wrappers reach into. */
interface CpuMemory extends Storage {
  elements: HostArray;
}

type AnyCall = Call<OpName, CpuMemory>;

const elements = (operand: AnyCall["inputs"][number] | undefined): HostArray =>
  (operand as { storage: CpuMemory }).storage.elements;

export interface Mutant {
  readonly name: string;
  /** Patterns of case ids in which the mutant must be caught. */
  readonly cases: readonly string[];
  readonly groups?: readonly Group[];
  mutate(good: Backend): Backend;
}

const kernelOf = (backend: Backend, op: OpName): ((call: AnyCall) => void) => {
  const kernel = backend.kernels[op] as ((call: AnyCall) => void) | OptionalKernel<OpName> | undefined;
  if (!kernel) throw new TypeError(`the good backend has no kernel ${op}`);
  return typeof kernel === "function" ? kernel : (call) => kernel.run(call as never);
};

/** The same backend with one kernel replaced. */
const replace = (
  good: Backend,
  op: OpName,
  run: (call: AnyCall, original: (call: AnyCall) => void) => void,
): Backend => {
  const original = kernelOf(good, op);
  const wrapped = (call: AnyCall): void => run(call, original);
  const required = typeof good.kernels[op] === "function";
  return {
    ...delegate(good),
    kernels: { ...good.kernels, [op]: required ? wrapped : { run: wrapped } } as Backend["kernels"],
  };
};

/** Every kernel, followed by `after`. */
const afterEach = (good: Backend, after: (call: AnyCall) => void): Backend => {
  let backend = good;
  for (const op of Object.keys(good.kernels) as OpName[])
    backend = replace(backend, op, (call, original) => {
      original(call);
      after(call);
    });
  return backend;
};

const onFloatOutputs =
  (f: (value: number, i: number) => number) =>
  ({ outputs }: AnyCall): void => {
    for (const output of outputs) {
      if (!isFloat(output.dtype)) continue;
      const data = elements(output);
      for (let i = 0; i < data.length; i++) data[i] = f(data[i] as number, i);
    }
  };

/** One kernel that sees other attributes than it was given. */
const misread =
  <K extends RequiredOp | OptionalOp>(op: K, change: (attrs: Attrs<K>) => Partial<Attrs<K>>) =>
  (good: Backend): Backend =>
    replace(good, op, (call, original) =>
      original({ ...call, attrs: { ...call.attrs, ...change(call.attrs as Attrs<K>) } } as AnyCall),
    );

/** One kernel written anew. */
const rewritten =
  (op: OpName, run: (call: AnyCall, original: (call: AnyCall) => void) => void) =>
  (good: Backend): Backend =>
    replace(good, op, run);

/** A pointwise kernel, for one kind, by a formula that is not good enough. */
const formula = (op: "unary" | "activation", kind: string, f: (x: number) => number) =>
  rewritten(op, (call, original) => {
    original(call);
    if ((call.attrs as { kind: string }).kind !== kind) return;
    const x = elements(call.inputs[0]);
    const y = elements(call.outputs[0]);
    for (let i = 0; i < y.length; i++) y[i] = f(x[i] as number);
  });

const once = [1, 1] as const;
const swapSides = ([top, bottom, left, right]: readonly [number, number, number, number]) =>
  [bottom, top, right, left] as const;
const swapPair = ([a, b]: readonly [number, number]) => [b, a] as const;

/** Rows of the reduced axis: calls `visit` with the base position and the step of each line along `axis`. */
const lines = (
  shape: readonly number[],
  axis: number,
  visit: (base: number, step: number, length: number, line: number) => void,
): void => {
  const step = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const length = shape[axis] as number;
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < step; i++) visit(o * length * step + i, step, length, o * step + i);
};

/** The last of equals wins. */
const lastTieWins = rewritten("argReduce", ({ inputs, outputs, attrs }) => {
  const { kind, axis } = attrs as Attrs<"argReduce">;
  const [x, y] = [elements(inputs[0]), elements(outputs[0])];
  lines((inputs[0] as { shape: readonly number[] }).shape, axis, (base, step, length, line) => {
    let best = 0;
    for (let i = 1; i < length; i++) {
      const [a, b] = [x[base + i * step] as number, x[base + best * step] as number];
      if (kind === "argmax" ? a >= b : a <= b) best = i;
    }
    y[line] = best;
  });
});

/** Max pooling whose window keeps the last of equals. */
const lastTieInPool = rewritten("maxPool2d", ({ inputs, outputs, attrs }) => {
  const { kernel, stride, padding, dilation } = attrs as Attrs<"maxPool2d">;
  const [height, width] = (inputs[0] as { shape: readonly number[] }).shape.slice(2) as [number, number];
  const [n, c, oh, ow] = (outputs[0] as { shape: readonly number[] }).shape as [number, number, number, number];
  const [x, y, indices] = [elements(inputs[0]), elements(outputs[0]), elements(outputs[1])];
  for (let p = 0; p < n * c; p++)
    for (let i = 0; i < oh; i++)
      for (let j = 0; j < ow; j++) {
        let best = -1;
        for (let u = 0; u < kernel[0]; u++)
          for (let v = 0; v < kernel[1]; v++) {
            const row = i * stride[0] - padding[0] + u * dilation[0];
            const column = j * stride[1] - padding[2] + v * dilation[1];
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            const at = row * width + column;
            const [value, most] = [x[p * height * width + at] as number, x[p * height * width + best] as number];
            if (best < 0 || value >= most || Number.isNaN(value)) best = at;
          }
        const o = (p * oh + i) * ow + j;
        y[o] = x[p * height * width + best] as number;
        indices[o] = best;
      }
});

/** Runs a kernel on inputs in which NaN has been replaced, and puts the inputs back. */
const withoutNaN = (op: OpName, instead: number) =>
  rewritten(op, (call, original) => {
    const data = elements(call.inputs[0]);
    const kept = data.slice();
    for (let i = 0; i < data.length; i++) if (Number.isNaN(data[i])) data[i] = instead;
    original(call);
    data.set(kept);
  });

const naiveSoftmax = rewritten("softmax", ({ inputs, outputs, attrs }) => {
  const [x, y] = [elements(inputs[0]), elements(outputs[0])];
  lines((inputs[0] as { shape: readonly number[] }).shape, (attrs as Attrs<"softmax">).axis, (base, step, length) => {
    let sum = 0;
    for (let i = 0; i < length; i++) sum = Math.fround(sum + Math.fround(Math.exp(x[base + i * step] as number)));
    for (let i = 0; i < length; i++) y[base + i * step] = Math.fround(Math.exp(x[base + i * step] as number)) / sum;
  });
});

/** E[x²] - E[x]² in float32. */
const cancellingVariance = rewritten("variance", (call, original) => {
  const { axes } = call.attrs as Attrs<"variance">;
  const { shape } = call.inputs[0] as { shape: readonly number[] };
  if (axes.length !== 1) return original(call);
  const [x, y] = [elements(call.inputs[0]), elements(call.outputs[0])];
  lines(shape, axes[0] as number, (base, step, length, line) => {
    let [sum, squares] = [0, 0];
    for (let i = 0; i < length; i++) {
      const value = x[base + i * step] as number;
      sum = Math.fround(sum + value);
      squares = Math.fround(squares + Math.fround(value * value));
    }
    y[line] = Math.fround(squares / length) - Math.fround((sum / length) ** 2);
  });
});

/** Changes the integer operand for the call. */
const withIndices = (op: OpName, operand: number, change: (index: number, length: number) => number) =>
  rewritten(op, (call, original) => {
    const { shape } = call.inputs[0] as { shape: readonly number[] };
    const length = shape[(call.attrs as { axis: number }).axis] as number;
    const data = elements(call.inputs[operand]);
    const kept = data.slice();
    for (let i = 0; i < data.length; i++) data[i] = change(data[i] as number, length);
    original(call);
    data.set(kept);
  });

const scaleOutput = (op: OpName, factor: (call: AnyCall) => number, output = 0) =>
  rewritten(op, (call, original) => {
    original(call);
    const data = elements(call.outputs[output]);
    const by = factor(call);
    for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) * by;
  });

/** n/(n-1), where n elements share an output of the kernel. */
const bessel =
  (output: number) =>
  ({ inputs, outputs }: AnyCall): number => {
    const n = elements(inputs[0]).length / elements(outputs[output]).length;
    return n / (n - 1);
  };

/** What the tests start from. */
export const good = createCpuBackend;

/** Whole backends that are wrong. */
export const wrongBackends: readonly Mutant[] = [
  {
    name: "zeros",
    cases: ["ops:add/17+17#f32", "gradients:mul/17+17#f32"],
    mutate: (b) =>
      afterEach(
        b,
        onFloatOutputs(() => 0),
      ),
  },
  {
    name: "noise",
    cases: ["ops:exp/17#f32"],
    mutate: (b) =>
      afterEach(
        b,
        onFloatOutputs((x, i) => x * (1 + 1e-5 * Math.sin(i + 1))),
      ),
  },
  {
    name: "float16-rounded",
    cases: ["ops:matmul/7x13x11#f32", "gradients:conv2d/3x3#f32"],
    mutate: (b) =>
      afterEach(
        b,
        onFloatOutputs((x) => fromHalf(toHalf(x))),
      ),
  },
  {
    name: "float64 in float32",
    cases: ["ops:exp/17#f64", "gradients:mul/17+17#f64"],
    mutate: (b) => afterEach(b, onFloatOutputs(Math.fround)),
  },
  {
    name: "NaN-swallowing",
    cases: ["ops:relu/special-values#f32"],
    mutate: (b) =>
      afterEach(
        b,
        onFloatOutputs((x) => (Number.isNaN(x) ? 0 : x)),
      ),
  },
  {
    name: "throwing",
    cases: ["ops:relu/17#f32"],
    mutate: rewritten("unary", () => {
      throw new Error("not today");
    }),
  },
  {
    name: "forward-only: the gradient kernels do nothing",
    cases: ["gradients:conv2d/3x3#f32"],
    mutate: (b) => rewritten("conv2dGradInput", () => {})(rewritten("conv2dGradWeight", () => {})(b)),
  },
  {
    name: "input-mutating",
    cases: ["ops:relu/17#f32"],
    mutate: rewritten("unary", (call, original) => {
      original(call);
      elements(call.inputs[0]).fill(0);
    }),
  },
  {
    name: "aliasing: the output is the input's memory",
    cases: ["contract:outputs-are-own/permute"],
    mutate: rewritten("permute", ({ inputs, outputs }) => {
      (outputs[0] as { storage: CpuMemory }).storage.elements = elements(inputs[0]);
    }),
  },
  {
    name: "stale: it adds to what the output held",
    cases: ["ops:matmul/3x4x5#f32"],
    mutate: rewritten("matmul", (call, original) => {
      const before = elements(call.outputs[0]).slice();
      original(call);
      const data = elements(call.outputs[0]);
      for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + (before[i] as number);
    }),
  },
  {
    name: "write keeps the caller's array",
    cases: ["contract:write-copies"],
    mutate: (b) => ({
      ...delegate(b),
      write: ({ storage }, data) => {
        (storage as CpuMemory).elements = data;
      },
    }),
  },
  {
    name: "read hands out its own memory",
    cases: ["contract:read-copies"],
    mutate: (b) => ({ ...delegate(b), read: async ({ storage }) => (storage as CpuMemory).elements }),
  },
  {
    name: "late read: it sees what is dispatched after it",
    cases: ["contract:order/read-then-write"],
    mutate: (b) => ({
      ...delegate(b),
      read: async (source) => {
        await Promise.resolve();
        return b.read(source);
      },
    }),
  },
  {
    name: "reads the wrong type",
    cases: ["contract:write-read/int32"],
    mutate: (b) => ({ ...delegate(b), read: async (source) => Float32Array.from(await b.read(source)) }),
  },
  {
    name: "readSync missing",
    cases: ["contract:interface"],
    mutate: (b) => ({ ...delegate(b), readSync: undefined as never }),
  },
  {
    name: "supports changes its mind",
    cases: ["contract:supports-is-pure"],
    mutate: (b) => {
      let answer = false;
      const supports = (): boolean => {
        answer = !answer;
        return answer;
      };
      return {
        ...delegate(b),
        kernels: { ...b.kernels, softmax: { ...(b.kernels.softmax as OptionalKernel<"softmax">), supports } },
      };
    },
  },
  {
    name: "dispose works once",
    cases: ["contract:dispose-backend"],
    mutate: (b) => {
      let disposed = false;
      return {
        ...delegate(b),
        dispose: () => {
          if (disposed) throw new Error("disposed twice");
          disposed = true;
        },
      };
    },
  },
  {
    name: "not deterministic",
    cases: ["contract:deterministic"],
    mutate: (b) => {
      let calls = 0;
      return replace(b, "reduce", (call, original) => {
        original(call);
        calls++;
        const data = elements(call.outputs[0]);
        for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) * (1 + calls * 2 ** -20);
      });
    },
  },
];

/** Kernels with one mistake. */
export const mutatedKernels: readonly Mutant[] = [
  // Convolutions
  {
    name: "conv2d: pad sides swapped",
    cases: ["ops:conv2d/asymmetric"],
    mutate: misread("conv2d", (a) => ({ padding: swapSides(a.padding) })),
  },
  {
    name: "conv2d: dilation ignored",
    cases: ["ops:conv2d/d2-p2"],
    mutate: misread("conv2d", () => ({ dilation: once })),
  },
  {
    name: "conv2d: stride swapped",
    cases: ["ops:conv2d/2x3-s3x2"],
    mutate: misread("conv2d", (a) => ({ stride: swapPair(a.stride) })),
  },
  {
    name: "conv2d: bias left out",
    cases: ["ops:conv2d/1x1-b"],
    mutate: rewritten("conv2d", (call, original) => original({ ...call, inputs: call.inputs.slice(0, 2) } as AnyCall)),
  },
  {
    name: "conv2dGradInput: pad sides swapped",
    cases: ["gradients:conv2d/asymmetric"],
    mutate: misread("conv2dGradInput", (a) => ({ padding: swapSides(a.padding) })),
  },
  {
    name: "conv2dGradInput: dilation ignored",
    cases: ["gradients:conv2d/d2-p2"],
    mutate: misread("conv2dGradInput", () => ({ dilation: once })),
  },
  {
    name: "conv2dGradWeight: stride ignored",
    cases: ["gradients:conv2d/3x3-s2-p1-b"],
    mutate: misread("conv2dGradWeight", () => ({ stride: once })),
  },
  {
    name: "conv2dGradWeight: groups ignored",
    cases: ["gradients:conv2d/g2-b"],
    mutate: misread("conv2dGradWeight", () => ({ groups: 1 })),
  },
  {
    name: "conv2dGradInput as transposed convolution: stride swapped",
    cases: ["ops:convTranspose2d/g2-s3x2"],
    mutate: misread("conv2dGradInput", (a) => ({ stride: swapPair(a.stride) })),
  },
  {
    name: "unfold2d: pad sides swapped",
    cases: ["ops:unfold2d/asymmetric"],
    mutate: misread("unfold2d", (a) => ({ window: { ...a.window, padding: swapSides(a.window.padding) } })),
  },
  {
    name: "fold2d: dilation ignored",
    cases: ["ops:fold2d/3x3-d2"],
    mutate: misread("fold2d", (a) => ({ window: { ...a.window, dilation: once } })),
  },
  // Pools
  {
    name: "maxPool2d: the last tie wins",
    cases: ["ops:maxPool2dWithIndices/ties", "gradients:maxPool2d/ties"],
    mutate: lastTieInPool,
  },
  {
    name: "maxPool2d: NaN dropped",
    cases: ["ops:maxPool2d/nan"],
    mutate: withoutNaN("maxPool2d", Number.NEGATIVE_INFINITY),
  },
  {
    name: "maxPool2d: padding is 0",
    cases: ["ops:maxPool2d/all-negative"],
    mutate: rewritten("maxPool2d", (call, original) => {
      original(call);
      const { padding } = call.attrs as Attrs<"maxPool2d">;
      const y = elements(call.outputs[0]);
      if (padding.some((p) => p > 0)) for (let i = 0; i < y.length; i++) y[i] = Math.max(y[i] as number, 0);
    }),
  },
  {
    name: "maxPool2dGrad: only where the maximum is positive",
    cases: ["gradients:maxPool2d/all-negative-ties"],
    mutate: rewritten("maxPool2dGrad", (call, original) => {
      original(call);
      elements(call.outputs[0]).fill(0);
    }),
  },
  {
    name: "maxPool2dGrad: shared positions overwritten",
    cases: ["gradients:maxPool2d/2x2-s1-overlap"],
    mutate: rewritten("maxPool2dGrad", ({ inputs, outputs }) => {
      const [gy, indices, gx] = [elements(inputs[0]), elements(inputs[1]), elements(outputs[0])];
      const planes = (outputs[0] as { shape: readonly number[] }).shape.slice(0, 2).reduce((a, b) => a * b, 1);
      gx.fill(0);
      gy.forEach((g, i) => {
        const plane = Math.floor(i / (gy.length / planes));
        gx[plane * (gx.length / planes) + (indices[i] as number)] = g;
      });
    }),
  },
  {
    name: "avgPool2d: countIncludePad ignored",
    cases: ["ops:avgPool2d/*without-padding#f32"],
    mutate: misread("avgPool2d", () => ({ countIncludePad: true })),
  },
  {
    name: "avgPool2d: ceil mode's overhang counts",
    cases: ["ops:avgPool2d/*ceil#f32"],
    mutate: misread("avgPool2d", ({ padding: [t, b, l, r] }) => ({ padding: [t, b + 9, l, r + 9] as const })),
  },
  {
    name: "avgPool2dGrad: countIncludePad ignored",
    cases: ["gradients:avgPool2d/*without-padding#f32"],
    mutate: misread("avgPool2dGrad", () => ({ countIncludePad: true })),
  },
  // Statistics
  {
    name: "variance: divided by n - 1",
    cases: ["ops:variance/4x7-axes0#f32"],
    mutate: scaleOutput("variance", bessel(0)),
  },
  { name: "variance: E[x²] - E[x]²", cases: ["ops:variance/far-from-0#f32"], mutate: cancellingVariance },
  {
    name: "batchNorm: unbiased variance in the statistics",
    cases: ["ops:batchNorm/train-4x3#f32"],
    mutate: scaleOutput("batchNorm", bessel(2), 2),
  },
  {
    name: "batchNorm: eps ignored",
    cases: ["ops:batchNorm/train-momentum-eps#f32"],
    mutate: misread("batchNorm", () => ({ eps: 0 })),
  },
  {
    name: "batchNormGrad: eps ignored",
    cases: ["gradients:batchNorm/train-momentum-eps#f32"],
    mutate: misread("batchNormGrad", () => ({ eps: 0 })),
  },
  {
    name: "localResponseNorm: window off by one",
    cases: ["ops:localResponseNorm/size4-even#f32"],
    mutate: misread("localResponseNorm", (a) => ({ size: a.size - 1 })),
  },
  { name: "softmax: maximum not subtracted", cases: ["ops:softmax/far-from-0#f32"], mutate: naiveSoftmax },
  {
    name: "softmaxGrad: cross terms left out",
    cases: ["gradients:softmax/5-axis0#f32"],
    mutate: rewritten("softmaxGrad", ({ inputs, outputs }) => {
      const [y, g, gx] = [elements(inputs[0]), elements(inputs[1]), elements(outputs[0])];
      for (let i = 0; i < gx.length; i++) gx[i] = (y[i] as number) * (1 - (y[i] as number)) * (g[i] as number);
    }),
  },
  {
    name: "crossEntropy: smoothing ignored",
    cases: ["ops:crossEntropy/smoothing#f32"],
    mutate: misread("crossEntropy", () => ({ labelSmoothing: 0 })),
  },
  {
    name: "crossEntropyGrad: smoothing ignored",
    cases: ["gradients:crossEntropy/smoothing#f32"],
    mutate: misread("crossEntropyGrad", () => ({ labelSmoothing: 0 })),
  },
  // Reductions
  { name: "reduce: max drops NaN", cases: ["ops:max/nan#f32"], mutate: withoutNaN("reduce", Number.NEGATIVE_INFINITY) },
  {
    name: "reduce: sum in float16",
    cases: ["ops:sum/all-negative#f32"],
    mutate: (b) =>
      replace(b, "reduce", (call, original) => {
        original(call);
        onFloatOutputs((x) => fromHalf(toHalf(x)))(call);
      }),
  },
  { name: "argReduce: the last tie wins", cases: ["ops:argmax/ties#f32"], mutate: lastTieWins },
  {
    name: "argReduce: NaN never wins",
    cases: ["ops:argmin/nan#f32"],
    mutate: (b) =>
      replace(b, "argReduce", (call, original) => {
        const data = elements(call.inputs[0]);
        const kept = data.slice();
        const { kind } = call.attrs as Attrs<"argReduce">;
        for (let i = 0; i < data.length; i++)
          if (Number.isNaN(data[i])) data[i] = kind === "argmax" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
        original(call);
        data.set(kept);
      }),
  },
  {
    name: "cumsum: wrong axis",
    cases: ["ops:cumsum/4x7-axis0#f32"],
    mutate: misread("cumsum", (a) => ({ axis: a.axis === 0 ? 1 : 0 })),
  },
  // Movement
  {
    name: "slice: step ignored",
    cases: ["ops:slice/step-2#f32"],
    mutate: misread("slice", (a) => ({ step: a.step.map(Math.sign) })),
  },
  { name: "pad: value ignored", cases: ["ops:pad/asymmetric#f32"], mutate: misread("pad", () => ({ value: 0 })) },
  {
    name: "pad: before and after swapped",
    cases: ["ops:pad/asymmetric#f32"],
    mutate: misread("pad", (a) => ({ before: a.after, after: a.before })),
  },
  {
    name: "permute: inverse",
    cases: ["ops:permute/2x3x5-201#f32"],
    mutate: misread("permute", (a) => ({ perm: a.perm.map((_, i) => a.perm.indexOf(i)) })),
  },
  {
    name: "concat: order reversed",
    cases: ["ops:concat/two-0#f32"],
    mutate: rewritten("concat", (call, original) =>
      original({ ...call, inputs: [...call.inputs].reverse() } as unknown as AnyCall),
    ),
  },
  {
    name: "gather: indices clamped",
    cases: ["errors:gather/above"],
    mutate: withIndices("gather", 1, (i, n) => Math.min(Math.max(i, 0), n - 1)),
  },
  {
    name: "gather: negative indices count from the end",
    cases: ["errors:gather/below"],
    mutate: withIndices("gather", 1, (i, n) => (i < 0 ? i + n : i)),
  },
  {
    name: "scatterAdd: the last writer wins",
    cases: ["ops:scatterAdd/collisions#f32"],
    mutate: rewritten("scatterAdd", (call, original) => {
      if ((call.inputs[0] as { shape: readonly number[] }).shape.length !== 1) return original(call);
      const [x, index, source, y] = [
        elements(call.inputs[0]),
        elements(call.inputs[1]),
        elements(call.inputs[2]),
        elements(call.outputs[0]),
      ];
      y.set(x);
      index.forEach((target, i) => {
        y[target] = (x[target] as number) + (source[i] as number);
      });
    }),
  },
  {
    name: "where: by arithmetic",
    cases: ["ops:where/special-values#f32"],
    mutate: rewritten("where", (call, original) => {
      original(call);
      if ((call.outputs[0] as { shape: readonly number[] }).shape.length !== 1) return;
      const [c, a, b, y] = [...call.inputs.map(elements), elements(call.outputs[0])] as [
        HostArray,
        HostArray,
        HostArray,
        HostArray,
      ];
      for (let i = 0; i < y.length; i++)
        y[i] = (c[i] as number) * (a[i % a.length] as number) + (1 - (c[i] as number)) * (b[i % b.length] as number);
    }),
  },
  // Pointwise
  {
    name: "unary: round half away from zero",
    cases: ["ops:round/special-values#f32"],
    mutate: formula("unary", "round", (x) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5)),
  },
  {
    name: "unary: relu(NaN) = 0",
    cases: ["ops:relu/special-values#f32"],
    mutate: formula("unary", "relu", (x) => Math.max(Number.isNaN(x) ? 0 : x, 0)),
  },
  {
    name: "unary: sign(NaN) = 0",
    cases: ["ops:sign/special-values#f32"],
    mutate: formula("unary", "sign", (x) => (x > 0 ? 1 : x < 0 ? -1 : 0)),
  },
  {
    name: "unary: log1p as log(1 + x)",
    cases: ["ops:log1p/near-0#f32"],
    mutate: formula("unary", "log1p", (x) => Math.log(Math.fround(1 + x))),
  },
  {
    name: "unary: expm1 as exp(x) - 1",
    cases: ["ops:expm1/near-0#f32"],
    mutate: formula("unary", "expm1", (x) => Math.fround(Math.exp(x)) - 1),
  },
  {
    name: "unary: tanh overflows",
    cases: ["ops:tanh/special-values#f32"],
    mutate: formula("unary", "tanh", (x) => 1 - 2 / (Math.exp(2 * x) + 1) + (x > 88 ? Number.NaN : 0)),
  },
  {
    name: "unary: sigmoid overflows to NaN",
    cases: ["ops:sigmoid/special-values#f32"],
    mutate: formula("unary", "sigmoid", (x) => Math.fround(Math.exp(x)) / (1 + Math.fround(Math.exp(x)))),
  },
  {
    name: "unary: erf of Abramowitz and Stegun 7.1.26, good to 1.5e-7",
    cases: ["ops:erf/near-0#f32"],
    mutate: formula("unary", "erf", (x) => {
      const t = 1 / (1 + 0.3275911 * Math.abs(x));
      const p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
      return Math.sign(x) * (1 - p * Math.exp(-x * x));
    }),
  },
  {
    name: "activation: gelu by tanh",
    cases: ["ops:gelu/wide#f32"],
    mutate: formula(
      "activation",
      "gelu",
      (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    ),
  },
  {
    name: "activation: softplus overflows",
    cases: ["ops:softplus/special-values#f32"],
    mutate: formula("activation", "softplus", (x) => Math.log(1 + Math.fround(Math.exp(x)))),
  },
  {
    name: "activation: alpha ignored",
    cases: ["ops:elu/*alpha0.5#f32"],
    mutate: misread("activation", () => ({ alpha: 1 })),
  },
  {
    name: "activationGrad: alpha ignored",
    cases: ["gradients:leakyRelu/*slope0.25#f32"],
    mutate: misread("activationGrad", () => ({ alpha: 0.01 })),
  },
  {
    name: "binary: max ignores NaN",
    cases: ["ops:maximum/special-values#f32"],
    mutate: rewritten("binary", (call, original) => {
      original(call);
      if ((call.attrs as Attrs<"binary">).kind !== "max") return;
      const [a, b, y] = [elements(call.inputs[0]), elements(call.inputs[1]), elements(call.outputs[0])];
      if (a.length === y.length && b.length === y.length)
        for (let i = 0; i < y.length; i++)
          y[i] = Number.isNaN(a[i]) ? (b[i] as number) : Math.max(a[i] as number, b[i] as number);
    }),
  },
  {
    name: "compare: le is lt",
    cases: ["ops:le/65+65#f32"],
    mutate: misread("compare", (a) => ({ kind: a.kind === "le" ? "lt" : a.kind })),
  },
  { name: "clamp: bounds swapped with NaN", cases: ["ops:clamp/special-values#f32"], mutate: withoutNaN("clamp", 0) },
  {
    name: "cast: rounds to nearest",
    cases: ["ops:cast/truncates#f32"],
    mutate: rewritten("cast", (call, original) => {
      original(call);
      const [x, y] = [elements(call.inputs[0]), elements(call.outputs[0])];
      if (call.outputs[0]?.dtype === "int32") for (let i = 0; i < y.length; i++) y[i] = Math.round(x[i] as number);
    }),
  },
  {
    name: "matmul: transposeB ignored",
    cases: ["ops:matmul/transpose-b#f32"],
    mutate: misread("matmul", () => ({ transposeB: false })),
  },
  // Random numbers
  {
    name: "randomBits: offset ignored",
    cases: ["random:random-bits/64"],
    mutate: misread("randomBits", () => ({ offset: 0 })),
  },
  {
    name: "randomBits: one bit off in the last of 65",
    cases: ["random:random-bits/65"],
    mutate: rewritten("randomBits", (call, original) => {
      original(call);
      const data = elements(call.outputs[0]);
      data[data.length - 1] = (data[data.length - 1] as number) ^ 1;
    }),
  },
];
