/**
 * Learning rates as pure functions of the step, named and parametrised as in torch.optim.lr_scheduler. The number
 * they give is a rate if `lr` is one, or a factor for groups of different rates if `lr` is 1.
 */
import { ArgumentError } from "@striate/core";
import {
  expectCount,
  expectFinite,
  expectFraction,
  expectNonNegative,
  expectPositive,
  expectPositiveCount,
} from "./validate.js";

/** The rate of step t, from 0. Steps are whole; there is no state. @throws ArgumentError for any other step. */
export type Schedule = (step: number) => number;

const schedule =
  (name: string, rate: Schedule): Schedule =>
  (step) => {
    expectCount(name, { step });
    return rate(step);
  };

/** From `from` to `to` along half a cosine, `progress` in [0, 1]. */
const cosineBetween = (from: number, to: number, progress: number): number =>
  to + ((from - to) * (1 + Math.cos(Math.PI * progress))) / 2;

const lineBetween = (from: number, to: number, progress: number): number => from + (to - from) * progress;

/** Times `gamma` every `stepSize` steps. */
export const stepLr = (lr: number, { stepSize, gamma = 0.1 }: { stepSize: number; gamma?: number }): Schedule => {
  expectNonNegative("stepLr", { lr, gamma });
  expectPositiveCount("stepLr", { stepSize });
  return schedule("stepLr", (step) => lr * gamma ** Math.floor(step / stepSize));
};

/** Times `gamma` at each milestone. */
export const multiStepLr = (
  lr: number,
  { milestones, gamma = 0.1 }: { milestones: readonly number[]; gamma?: number },
): Schedule => {
  expectNonNegative("multiStepLr", { lr, gamma });
  milestones.forEach((milestone, i) => expectCount("multiStepLr", { [`milestones[${i}]`]: milestone }));
  return schedule("multiStepLr", (step) => lr * gamma ** milestones.filter((m) => m <= step).length);
};

/** Times `gamma` every step. */
export const exponentialLr = (lr: number, { gamma }: { gamma: number }): Schedule => {
  expectNonNegative("exponentialLr", { lr, gamma });
  return schedule("exponentialLr", (step) => lr * gamma ** step);
};

/** lr · factor for `totalIters` steps, then `lr`. */
export const constantLr = (
  lr: number,
  { factor = 1 / 3, totalIters = 5 }: { factor?: number; totalIters?: number } = {},
): Schedule => {
  expectNonNegative("constantLr", { lr, factor });
  expectCount("constantLr", { totalIters });
  return schedule("constantLr", (step) => (step < totalIters ? lr * factor : lr));
};

/** From `lr` to `etaMin` along half a cosine of `tMax` steps, and on along the cosine. */
export const cosineAnnealingLr = (lr: number, { tMax, etaMin = 0 }: { tMax: number; etaMin?: number }): Schedule => {
  expectNonNegative("cosineAnnealingLr", { lr, etaMin });
  expectPositiveCount("cosineAnnealingLr", { tMax });
  return schedule("cosineAnnealingLr", (step) => cosineBetween(lr, etaMin, step / tMax));
};

/** Half cosines from `lr` to `etaMin`: the first takes `t0` steps, each next one `tMult` times as many. SGDR, ICLR 2017. */
export const cosineAnnealingWarmRestarts = (
  lr: number,
  { t0, tMult = 1, etaMin = 0 }: { t0: number; tMult?: number; etaMin?: number },
): Schedule => {
  expectNonNegative("cosineAnnealingWarmRestarts", { lr, etaMin });
  expectPositiveCount("cosineAnnealingWarmRestarts", { t0, tMult });
  return schedule("cosineAnnealingWarmRestarts", (step) => {
    if (tMult === 1) return cosineBetween(lr, etaMin, (step % t0) / t0);
    let start = 0;
    let length = t0;
    while (step >= start + length) {
      start += length;
      length *= tMult;
    }
    return cosineBetween(lr, etaMin, (step - start) / length);
  });
};

/** From lr · startFactor to lr · endFactor in `totalIters` steps along a line, then constant. */
export const linearLr = (
  lr: number,
  {
    startFactor = 1 / 3,
    endFactor = 1,
    totalIters = 5,
  }: { startFactor?: number; endFactor?: number; totalIters?: number },
): Schedule => {
  expectNonNegative("linearLr", { lr, startFactor, endFactor });
  expectPositiveCount("linearLr", { totalIters });
  return schedule("linearLr", (step) => lr * lineBetween(startFactor, endFactor, Math.min(step / totalIters, 1)));
};

/** lr · (1 - step / totalIters)^power, then 0. */
export const polynomialLr = (
  lr: number,
  { totalIters = 5, power = 1 }: { totalIters?: number; power?: number },
): Schedule => {
  expectNonNegative("polynomialLr", { lr, power });
  expectPositiveCount("polynomialLr", { totalIters });
  return schedule("polynomialLr", (step) => lr * (1 - Math.min(step / totalIters, 1)) ** power);
};

export interface OneCycleOptions {
  /** There is no rate after these. */
  totalSteps: number;
  /** Share of the steps that go up. Default 0.3. */
  pctStart?: number;
  /** maxLr / divFactor is the first rate. Default 25. */
  divFactor?: number;
  /** The first rate / finalDivFactor is the last one. Default 1e4. */
  finalDivFactor?: number;
  /** Default "cos". */
  annealStrategy?: "cos" | "linear";
}

/** Up to `maxLr` and down to almost nothing: L. Smith, N. Topin, "Super-Convergence", 2018. The momentum stays. */
export const oneCycleLr = (
  maxLr: number,
  { totalSteps, pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4, annealStrategy = "cos" }: OneCycleOptions,
): Schedule => {
  expectNonNegative("oneCycleLr", { maxLr });
  expectPositive("oneCycleLr", { divFactor, finalDivFactor });
  expectPositiveCount("oneCycleLr", { totalSteps });
  expectFraction("oneCycleLr", { pctStart });
  const anneal = { cos: cosineBetween, linear: lineBetween }[annealStrategy];
  if (!anneal)
    throw new ArgumentError(
      `oneCycleLr: annealStrategy is ${JSON.stringify(annealStrategy)}, expected "cos" or "linear"`,
    );
  const first = maxLr / divFactor;
  const last = first / finalDivFactor;
  const peak = pctStart * totalSteps - 1;
  const end = totalSteps - 1;
  return schedule("oneCycleLr", (step) => {
    if (step > end) throw new ArgumentError(`oneCycleLr: step ${step} is past the last one, ${end}`);
    if (step < peak) return anneal(first, maxLr, step / peak);
    return step === peak ? maxLr : anneal(maxLr, last, (step - peak) / (end - peak));
  });
};

/** Along lines through (step, rate) points, constant before the first and after the last. Points may lie between steps. */
export const piecewiseLinearLr = (points: readonly (readonly [step: number, rate: number])[]): Schedule => {
  if (points.length === 0) throw new ArgumentError("piecewiseLinearLr: no points");
  points.forEach(([step, rate], i) => {
    expectFinite("piecewiseLinearLr", { [`step of point ${i}`]: step });
    expectNonNegative("piecewiseLinearLr", { [`rate of point ${i}`]: rate });
    const before = points[i - 1];
    if (before && before[0] >= step)
      throw new ArgumentError(`piecewiseLinearLr: the steps must increase, but ${step} follows ${before[0]}`);
  });
  return schedule("piecewiseLinearLr", (step) => {
    const next = points.findIndex(([at]) => at > step);
    const [fromStep, from] = points.at(next === -1 ? -1 : Math.max(next - 1, 0)) as readonly [number, number];
    if (next <= 0) return from;
    const [toStep, to] = points[next] as readonly [number, number];
    return lineBetween(from, to, (step - fromStep) / (toStep - fromStep));
  });
};

/** `steps` steps along a line from startFactor times the first rate of `after` up to it, then `after` from its step 0. */
export const warmup = (
  after: Schedule,
  { steps, startFactor = 0 }: { steps: number; startFactor?: number },
): Schedule => {
  expectNonNegative("warmup", { startFactor });
  expectCount("warmup", { steps });
  return schedule("warmup", (step) =>
    step < steps ? after(0) * lineBetween(startFactor, 1, step / steps) : after(step - steps),
  );
};

/** One schedule after another: number i + 1 takes over at milestone i, from its own step 0. */
export const sequentialLr = (
  schedules: readonly Schedule[],
  { milestones }: { milestones: readonly number[] },
): Schedule => {
  if (schedules.length !== milestones.length + 1)
    throw new ArgumentError(
      `sequentialLr: ${schedules.length} schedules and ${milestones.length} milestones, expected one milestone less`,
    );
  milestones.forEach((milestone, i) => {
    expectCount("sequentialLr", { [`milestones[${i}]`]: milestone });
    if (milestone < (milestones[i - 1] ?? 0))
      throw new ArgumentError(
        `sequentialLr: the milestones must not decrease, but ${milestone} follows ${milestones[i - 1]}`,
      );
  });
  return schedule("sequentialLr", (step) => {
    const current = milestones.filter((milestone) => milestone <= step).length;
    return (schedules[current] as Schedule)(step - (milestones[current - 1] ?? 0));
  });
};
