import type { ActivationKind } from "@striate/core/backend";
import { f32x4, f64x2, i32x4, type V128, v128 } from "../assembler/instructions.js";
import type { FunctionBody } from "../assembler/module.js";
import { expF32x4, expF64x2, expm1F64x2, log1pF64x2, mapF64x2, sigmoidF64x2, zipF64x2 } from "../math.js";
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

// e^(z²) erfc(z) for z >= 0 as a polynomial without constant in t = 1 / (1 + ERFC_RATE · z), relative error 1.2e-7: a
// minimax fit of our own, coefficients from t to t^8.
const ERFC_RATE = 0.425;
const ERFC_POLYNOMIAL = [
  0.23967077513790427, 0.2419608329826905, 0.19995664342026837, 0.25755751501547, -0.10791927676029554,
  0.41268841416243063, -0.3160995400141877, 0.07218451615695907,
] as const;

/** The standard normal distribution's Phi and density at four float32: the exponential is what both cost. */
const normal = (b: FunctionBody, x: V128): { readonly cdf: V128; readonly density: V128 } => {
  const c32 = f32x4.const;
  const power = expF32x4(b, f32x4.mul(f32x4.mul(x, x), c32(-0.5)));
  const t = b.let(f32x4.div(c32(1), f32x4.add(f32x4.mul(f32x4.abs(x), c32(ERFC_RATE * Math.SQRT1_2)), c32(1))));
  const polynomial = b.let(c32(0));
  for (const coefficient of [...ERFC_POLYNOMIAL].reverse())
    b.set(polynomial, f32x4.mul(f32x4.add(polynomial, c32(coefficient / 2)), t));
  const tail = b.let(f32x4.mul(polynomial, power));
  return {
    cdf: v128.bitselect(tail, f32x4.sub(c32(1), tail), f32x4.lt(x, c32(0))),
    density: f32x4.mul(power, c32(1 / Math.sqrt(2 * Math.PI))),
  };
};

const gelu = {
  value: (b: FunctionBody, x: V128): V128 => f32x4.mul(x, normal(b, x).cdf),
  slope: (b: FunctionBody, x: V128): V128 => {
    const { cdf, density } = normal(b, x);
    return f32x4.add(cdf, f32x4.mul(x, density));
  },
};

const whereNotPositive = (x: V128, negative: V128, positive: V128): V128 =>
  v128.bitselect(positive, negative, f64x2.gt(x, c64(0)));

const inDoubles: { readonly [K in Exclude<ActivationKind, "leakyRelu" | "gelu">]: Activation } = {
  elu: {
    value: (b, x, alpha) => whereNotPositive(x, f64x2.mul(expm1F64x2(b, x), alpha), x),
    slope: (b, x, alpha) => whereNotPositive(x, f64x2.mul(expF64x2(b, x), alpha), c64(1)),
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
  if (kind === "gelu")
    return {
      value: { ...value, heavy: true, compute: (b, [x]) => gelu.value(b, x as V128) },
      grad: { ...grad, heavy: true, compute: (b, [x, gy]) => f32x4.mul(gelu.slope(b, x as V128), gy as V128) },
    };
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
