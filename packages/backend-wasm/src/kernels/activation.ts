import type { ActivationKind } from "@striate/core/backend";
import { f32x4, f64x2, i32x4, type V128, v128 } from "../assembler/instructions.js";
import type { FunctionBody } from "../assembler/module.js";
import { erfcF64x2, expF64x2, expm1F64x2, log1pF64x2, mapF64x2, sigmoidF64x2, zipF64x2 } from "../math.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { createPointwise, type Pointwise } from "./pointwise.js";

const c64 = (value: number): V128 => f64x2.const(value);

/** On doubles. */
interface Activation {
  value(b: FunctionBody, x: V128, alpha: V128): V128;
  /** d value / d x */
  slope(b: FunctionBody, x: V128, alpha: V128): V128;
}

/** The standard normal distribution's Phi, accurate in the lower tail too. */
const normalCdf = (b: FunctionBody, x: V128): V128 => {
  const tail = b.let(f64x2.mul(erfcF64x2(b, f64x2.mul(f64x2.abs(x), c64(Math.SQRT1_2))), c64(0.5)));
  return b.let(v128.bitselect(tail, f64x2.sub(c64(1), tail), f64x2.lt(x, c64(0))));
};

const normalDensity = (b: FunctionBody, x: V128): V128 =>
  f64x2.mul(expF64x2(b, f64x2.mul(f64x2.mul(x, x), c64(-0.5))), c64(1 / Math.sqrt(2 * Math.PI)));

const whereNotPositive = (x: V128, negative: V128, positive: V128): V128 =>
  v128.bitselect(positive, negative, f64x2.gt(x, c64(0)));

const inDoubles: { readonly [K in Exclude<ActivationKind, "leakyRelu">]: Activation } = {
  elu: {
    value: (b, x, alpha) => whereNotPositive(x, f64x2.mul(expm1F64x2(b, x), alpha), x),
    slope: (b, x, alpha) => whereNotPositive(x, f64x2.mul(expF64x2(b, x), alpha), c64(1)),
  },
  gelu: {
    value: (b, x) => f64x2.mul(normalCdf(b, x), x),
    slope: (b, x) => f64x2.add(normalCdf(b, x), f64x2.mul(normalDensity(b, x), x)),
  },
  silu: {
    value: (b, x) => f64x2.mul(sigmoidF64x2(b, x), x),
    slope: (b, x) => {
      const s = sigmoidF64x2(b, x);
      return f64x2.mul(f64x2.add(f64x2.mul(f64x2.sub(c64(1), s), x), c64(1)), s);
    },
  },
  softplus: {
    value: (b, x) => f64x2.add(log1pF64x2(b, expF64x2(b, f64x2.neg(f64x2.abs(x)))), f64x2.pmax(x, c64(0))),
    slope: (b, x) => sigmoidF64x2(b, x),
  },
};

const alpha64 = (alpha: V128): V128 => f64x2.promoteLowF32x4(alpha);

const operationsOf = (kind: ActivationKind): { readonly value: Pointwise; readonly grad: Pointwise } => {
  const value = { key: `activation ${kind}`, inputs: [4], output: 4, scalars: ["f32"] } as const;
  const grad = { key: `activationGrad ${kind}`, inputs: [4, 4], output: 4, scalars: ["f32"] } as const;
  if (kind === "leakyRelu") {
    const scale = (x: V128, y: V128, alpha: V128): V128 =>
      v128.bitselect(y, f32x4.mul(y, alpha), f32x4.gt(x, f32x4.const(0)));
    return {
      value: { ...value, compute: (_, [x], [alpha]) => scale(x as V128, x as V128, alpha as V128) },
      grad: { ...grad, compute: (_, [x, gy], [alpha]) => scale(x as V128, gy as V128, alpha as V128) },
    };
  }
  const f = inDoubles[kind];
  return {
    value: {
      ...value,
      heavy: true,
      compute: (b, [x], [alpha]) => mapF64x2(b, x as V128, (x64) => f.value(b, x64, alpha64(alpha as V128))),
    },
    grad: {
      ...grad,
      heavy: true,
      compute: (b, [x, gy], [alpha]) =>
        zipF64x2(b, [x as V128, gy as V128], ([x64, gy64]) =>
          f64x2.mul(f.slope(b, x64 as V128, alpha64(alpha as V128)), gy64 as V128),
        ),
    },
  };
};

const reluGrad: Pointwise = {
  key: "reluGrad",
  inputs: [4, 4],
  output: 4,
  compute: (_, [x, gy]) => v128.andnot(gy as V128, f32x4.le(x as V128, f32x4.const(0))),
};

const floatClamp: Pointwise = {
  key: "clamp float32",
  inputs: [4],
  output: 4,
  scalars: ["f32", "f32"],
  compute: (_, [x], [least, greatest]) => f32x4.min(f32x4.max(x as V128, least as V128), greatest as V128),
};

const integerClamp = (bytes: 1 | 4): Pointwise => ({
  key: `clamp integer ${bytes}`,
  inputs: [bytes],
  output: bytes,
  scalars: ["i32", "i32"],
  compute: (_, [x], [least, greatest]) => i32x4.minS(i32x4.maxS(x as V128, least as V128), greatest as V128),
});

const clamps: Readonly<Record<string, Pointwise>> = {
  float32: floatClamp,
  int32: integerClamp(4),
  uint8: integerClamp(1),
};

const operations = Object.fromEntries(
  (["leakyRelu", "elu", "gelu", "silu", "softplus"] as const).map((kind) => [kind, operationsOf(kind)]),
) as Readonly<Record<ActivationKind, ReturnType<typeof operationsOf>>>;

type ActivationKernels = Pick<WasmKernels, "activation" | "activationGrad" | "reluGrad" | "clamp">;

export const activationKernels = (runtime: Runtime): ActivationKernels => {
  const run = createPointwise(runtime);
  return {
    activation: {
      run: ({ inputs, outputs: [y], attrs: { kind, alpha } }) => run(operations[kind].value, inputs, y, [alpha]),
    },
    activationGrad: {
      run: ({ inputs, outputs: [gx], attrs: { kind, alpha } }) => run(operations[kind].grad, inputs, gx, [alpha]),
    },
    reluGrad: { run: ({ inputs, outputs: [gx] }) => run(reluGrad, inputs, gx) },
    clamp: {
      run: ({ inputs, outputs: [y], attrs: { min, max } }) => run(clamps[y.dtype] as Pointwise, inputs, y, [min, max]),
    },
  };
};
