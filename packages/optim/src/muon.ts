import { ArgumentError, noGrad, pointwise, scope, type Tensor } from "@striate/core";
import { type MakeOptimizer, optimizerOf } from "./optimizer.js";
import { expectFit, initialStates, movingAverage, type ParameterState, type Rule } from "./rule.js";
import { expectDecay, expectFinite, expectNonNegative, expectPositive, expectPositiveCount } from "./validate.js";

export interface MuonOptions {
  /** Default 1e-3. */
  lr: number;
  /** Default 0.95. */
  momentum: number;
  /** Default true. */
  nesterov: boolean;
  /** Decoupled, as AdamW's. Default 0.1. */
  weightDecay: number;
  /** Newton-Schulz steps. Default 5. */
  nsSteps: number;
  /** Of the quintic a·x + b·x³ + c·x⁵ that pulls singular values to about 1. Default [3.4445, -4.775, 2.0315]. */
  nsCoefficients: readonly [a: number, b: number, c: number];
  /** The least norm that a matrix is divided by, a weight of zeros too. Default 1e-7. */
  eps: number;
  /**
   * Factor on the rate for a matrix of `rows` and `columns`: "original" √max(1, rows / columns), "matchRmsAdamw"
   * 0.2 · √max(rows, columns), "none" 1. Default "original".
   */
  adjustLr: "original" | "matchRmsAdamw" | "none";
  /** Scale every weight to the norm √rows before its update, as the CIFAR-10 recipe airbench does. Default false. */
  normalizeWeights: boolean;
}

const adjustments: { readonly [K in MuonOptions["adjustLr"]]: (rows: number, columns: number) => number } = {
  original: (rows, columns) => Math.sqrt(Math.max(1, rows / columns)),
  matchRmsAdamw: (rows, columns) => 0.2 * Math.sqrt(Math.max(rows, columns)),
  none: () => 1,
};

/** [out, in, kh, kw] as [out, in · kh · kw]. */
const sidesOf = ({ shape }: Tensor): [rows: number, columns: number] => [
  shape[0] as number,
  shape.slice(1).reduce((a, b) => a * b, 1),
];

const norm = (x: Tensor): Tensor => x.square().sum().sqrt();

/**
 * The nearest semi-orthogonal matrix to [rows, columns], roughly: the singular vectors stay, the singular values come
 * near 1 (0.7 to 1.2 after five steps). Fit for low precision; no factorization. K. Jordan, "Muon", 2024.
 */
const orthogonalize = (
  matrix: Tensor,
  { nsSteps, nsCoefficients: [a, b, c], eps }: Pick<MuonOptions, "nsSteps" | "nsCoefficients" | "eps">,
): Tensor => {
  const [rows = 0, columns = 0] = matrix.shape;
  // The Gram matrix of the shorter side: the same polynomial, fewer products.
  const tall = rows > columns;
  let x = matrix.div(norm(matrix).maximum(eps));
  for (let step = 0; step < nsSteps; step++) {
    const gram = x.matmul(x, { transposeA: tall, transposeB: !tall });
    const polynomial = gram.mul(b).add(gram.matmul(gram).mul(c));
    x = x.mul(a).add(tall ? x.matmul(polynomial) : polynomial.matmul(x));
  }
  return x;
};

/**
 * torch.optim.Muon, for convolution filters too: the average of the gradients (with Nesterov's look ahead) is
 * orthogonalized, so that every direction of a layer moves at the same pace. Of nothing but matrices and filters;
 * `mixedOptimizer` has another rule for the rest.
 */
export const muonRule: Rule<MuonOptions> = /* @__PURE__ */ (() => {
  const initialSlots = (): Record<string, number> => ({ momentum_buffer: 0 });

  const check: Rule<MuonOptions>["check"] = ({
    lr,
    momentum,
    weightDecay,
    nsSteps,
    nsCoefficients: [a, b, c],
    eps,
    adjustLr,
  }) => {
    expectNonNegative("muon", { lr, weightDecay });
    expectDecay("muon", { momentum });
    expectPositiveCount("muon", { nsSteps });
    expectFinite("muon", { "nsCoefficients[0]": a, "nsCoefficients[1]": b, "nsCoefficients[2]": c });
    expectPositive("muon", { eps });
    if (!Object.hasOwn(adjustments, adjustLr))
      throw new ArgumentError(
        `muon: adjustLr is ${JSON.stringify(adjustLr)}, expected ${Object.keys(adjustments).join(", ")}`,
      );
  };

  const checkParameter = (param: Tensor, name: string): void => {
    if (param.rank < 2)
      throw new ArgumentError(
        `muon: ${name} is [${param.shape.join(", ")}], expected a matrix or filters; mixedOptimizer updates others by another rule`,
      );
  };

  const updateOne = (param: Tensor, grad: Tensor, buffer: Tensor, hyper: MuonOptions): Tensor[] => {
    const { lr, momentum, nesterov, weightDecay, adjustLr, normalizeWeights, eps } = hyper;
    const [rows, columns] = sidesOf(param);
    const [average, ahead] = pointwise([buffer, grad], (old, g) => {
      const next = movingAverage(old, g, momentum);
      return nesterov ? [next, movingAverage(next, g, momentum)] : [next];
    }) as [Tensor, Tensor | undefined];
    const update = orthogonalize((ahead ?? average).reshape([rows, columns]), hyper).reshape(param.shape);
    const weight = normalizeWeights ? param.mul(norm(param).maximum(eps).reciprocal().mul(Math.sqrt(rows))) : param;
    const [value] = pointwise([weight, update], (w, u) => [
      (weightDecay === 0 ? w : w.mul(1 - lr * weightDecay)).sub(u.mul(lr * adjustments[adjustLr](rows, columns))),
    ]) as [Tensor];
    return [value, average];
  };

  return {
    name: "muon",
    defaults: {
      lr: 1e-3,
      momentum: 0.95,
      nesterov: true,
      weightDecay: 0.1,
      nsSteps: 5,
      nsCoefficients: [3.4445, -4.775, 2.0315],
      eps: 1e-7,
      adjustLr: "original",
      normalizeWeights: false,
    },
    check,
    checkParameter,
    initialSlots,
    init: initialStates(initialSlots),
    update: (params, grads, state, hyper) => {
      check(hyper);
      expectFit("muon", params, grads, state.length);
      params.forEach((param, i) => {
        checkParameter(param, `parameter ${i}`);
      });
      return noGrad(() =>
        scope(() => {
          const next = params.map((param, i) => {
            const { step, slots } = state[i] as ParameterState;
            // Inner scope: the Gram matrices of one parameter are gone before the next one's.
            const [value, buffer] = scope(() =>
              updateOne(param, grads[i] as Tensor, slots["momentum_buffer"] as Tensor, hyper),
            ) as [Tensor, Tensor];
            return { value, state: { step: step + 1, slots: { momentum_buffer: buffer } } };
          });
          return { params: next.map(({ value }) => value), state: next.map((n) => n.state) };
        }),
      );
    },
  };
})();

/** See `muonRule`. */
export const muon: MakeOptimizer<MuonOptions> = /* @__PURE__ */ optimizerOf<MuonOptions>(muonRule);
