import type { ActivationKind } from "@striate/core/backend";
import { floatBits, type Stream } from "../stream.js";
import { f32 } from "../wgsl/shader.js";
import { constantWord } from "./binary.js";
import { pointwise } from "./pointwise.js";
import { type GpuKernels, scalarType } from "./types.js";

const positive = "(order(x0) > 0 && !isNan(x0))";

const values: { readonly [K in ActivationKind]: string } = {
  leakyRelu: `select(p.alpha * x0, x0, ${positive})`,
  elu: `select(p.alpha * expm1Of(x0), x0, ${positive})`,
  gelu: "gelu(x0)",
  silu: "x0 * sigmoidOf(x0)",
  softplus: "softplus(x0)",
};

/** d value / d x */
const slopes: { readonly [K in ActivationKind]: string } = {
  leakyRelu: `select(p.alpha, 1.0, ${positive})`,
  elu: `select(p.alpha * expOf(x0), 1.0, ${positive})`,
  gelu: "(0.5 * (1.0 + erfOf(x0 * 0.70710678)) + x0 * expOf(-0.5 * x0 * x0) * 0.39894228)",
  silu: "(sigmoidOf(x0) * (1.0 + x0 * (1.0 - sigmoidOf(x0))))",
  softplus: "sigmoidOf(x0)",
};

type ActivationKernels = Pick<GpuKernels, "activation" | "activationGrad" | "reluGrad" | "clamp">;

export const activationKernels = (stream: Stream): ActivationKernels => ({
  activation: {
    run: ({ inputs: [x], outputs: [y], attrs: { kind, alpha } }) => {
      const words = [floatBits(alpha)];
      pointwise(stream, { op: "activation", variant: kind, value: values[kind], params: f32("alpha"), words }, [x], y);
    },
  },

  activationGrad: {
    run: ({ inputs: [x, gy], outputs: [gx], attrs: { kind, alpha } }) => {
      const value = `x1 * ${slopes[kind]}`;
      const words = [floatBits(alpha)];
      pointwise(stream, { op: "activationGrad", variant: kind, value, params: f32("alpha"), words }, [x, gy], gx);
    },
  },

  reluGrad: {
    run: ({ inputs: [x, gy], outputs: [gx] }) => {
      const value = "select(x1, 0.0, isNegative(x0) || isZero(x0))";
      pointwise(stream, { op: "reluGrad", variant: "", value }, [x, gy], gx);
    },
  },

  clamp: {
    run: ({ inputs: [x], outputs: [y], attrs: { min, max } }) => {
      const type = scalarType(x.dtype);
      const value = type === "f32" ? "lesser(greater(x0, p.low), p.high)" : "clamp(x0, p.low, p.high)";
      // Infinite limits of integers: `| 0` would make 0 of them.
      const [low, high] = type === "f32" ? [min, max] : [Math.max(min, -(2 ** 31)), Math.min(max, 2 ** 31 - 1)];
      const words =
        type === "f32" ? [floatBits(low), floatBits(high)] : [constantWord(low, "int32"), constantWord(high, "int32")];
      const params = ["low", "high"].map((name) => ({ name, type }));
      pointwise(stream, { op: "clamp", variant: "", value, params, words }, [x], y);
    },
  },
});
