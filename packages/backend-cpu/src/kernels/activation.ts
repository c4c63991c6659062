import { type ActivationKind, erfc, sigmoid } from "@striate/core/backend";
import { lazyTable, type Specialise } from "../specialise.js";
import type { CpuKernels, Elements } from "../storage.js";

interface Activation {
  readonly value: (x: number, alpha: number) => number;
  /** d value / d x */
  readonly slope: (x: number, alpha: number) => number;
}

/** The standard normal distribution's Phi, exact in the lower tail too. */
const normalCdf = (x: number): number => 0.5 * erfc(-x * Math.SQRT1_2);
const normalDensity = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

const activations: { readonly [K in ActivationKind]: Activation } = {
  leakyRelu: {
    value: (x, alpha) => (x > 0 ? x : alpha * x),
    slope: (x, alpha) => (x > 0 ? 1 : alpha),
  },
  elu: {
    value: (x, alpha) => (x > 0 ? x : alpha * Math.expm1(x)),
    slope: (x, alpha) => (x > 0 ? 1 : alpha * Math.exp(x)),
  },
  gelu: {
    value: (x) => x * normalCdf(x),
    slope: (x) => normalCdf(x) + x * normalDensity(x),
  },
  silu: {
    value: (x) => x * sigmoid(x),
    slope: (x) => {
      const s = sigmoid(x);
      return s * (1 + x * (1 - s));
    },
  },
  softplus: {
    value: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    slope: (x) => sigmoid(x),
  },
};

const valueLoop = (f: Activation["value"], alpha: number, x: Elements, y: Elements): void => {
  for (let i = 0; i < y.length; i++) y[i] = f(x[i] as number, alpha);
};

const gradLoop = (f: Activation["slope"], alpha: number, x: Elements, gy: Elements, gx: Elements): void => {
  for (let i = 0; i < gx.length; i++) gx[i] = (gy[i] as number) * f(x[i] as number, alpha);
};

type ActivationKernels = Pick<CpuKernels, "activation" | "activationGrad" | "reluGrad" | "clamp">;

export const activationKernels = (specialise: Specialise): ActivationKernels => {
  const valueLoops = lazyTable((kind: ActivationKind) => specialise(valueLoop, `activation ${kind}`));
  const gradLoops = lazyTable((kind: ActivationKind) => specialise(gradLoop, `activationGrad ${kind}`));
  return {
    activation: {
      run: ({ inputs: [x], outputs: [y], attrs: { kind, alpha } }) =>
        valueLoops(kind)(activations[kind].value, alpha, x.storage.elements, y.storage.elements),
    },

    activationGrad: {
      run: ({ inputs: [x, gy], outputs: [gx], attrs: { kind, alpha } }) =>
        gradLoops(kind)(activations[kind].slope, alpha, x.storage.elements, gy.storage.elements, gx.storage.elements),
    },

    reluGrad: {
      run: ({ inputs: [x, gy], outputs: [gx] }) => {
        const xs = x.storage.elements;
        const gys = gy.storage.elements;
        const gxs = gx.storage.elements;
        for (let i = 0; i < gxs.length; i++) gxs[i] = (xs[i] as number) <= 0 ? 0 : (gys[i] as number);
      },
    },

    clamp: {
      run: ({ inputs: [x], outputs: [y], attrs: { min, max } }) => {
        const xs = x.storage.elements;
        const ys = y.storage.elements;
        for (let i = 0; i < ys.length; i++) ys[i] = Math.min(Math.max(xs[i] as number, min), max);
      },
    },
  };
};
