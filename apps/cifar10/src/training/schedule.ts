import {
  cosineAnnealingLr,
  exponentialLr,
  multiStepLr,
  oneCycleLr,
  piecewiseLinearLr,
  polynomialLr,
  type Schedule,
  warmup,
} from "@striate/optim";
import type { ScheduleConfig } from "../config/schema.js";

type Make<C> = (config: C, lr: number, steps: number) => Schedule;
type Makers = { readonly [C in ScheduleConfig as C["name"]]: Make<C> };

const makers: Makers = {
  constant: (_, lr) => () => lr,
  cosine: ({ end }, lr, steps) => cosineAnnealingLr(lr, { tMax: steps, etaMin: lr * end }),
  oneCycle: ({ name: _, ...options }, lr, steps) => oneCycleLr(lr, { totalSteps: steps, ...options }),
  multiStep: ({ milestones, gamma }, lr, steps) =>
    multiStepLr(lr, { milestones: milestones.map((share) => Math.round(share * steps)), gamma }),
  exponential: ({ end }, lr, steps) => exponentialLr(lr, { gamma: end ** (1 / Math.max(1, steps - 1)) }),
  polynomial: ({ power }, lr, steps) => polynomialLr(lr, { totalIters: steps, power }),
  piecewiseLinear: ({ points }, lr, steps) => {
    const factor = piecewiseLinearLr(points.map(([share, rate]) => [share * steps, rate]));
    return (step) => lr * factor(step);
  },
  // Lowered by what validations say, see `plateau`.
  plateau: (_, lr) => () => lr,
};

/** The rate at each of `steps` steps of a group whose rate is `lr`. */
export const scheduleOf = (config: ScheduleConfig, lr: number, steps: number): Schedule => {
  const make = makers[config.name] as Make<ScheduleConfig>;
  const rising = "warmup" in config ? Math.floor(config.warmup * steps) : 0;
  if (rising === 0) return make(config, lr, steps);
  return warmup(make(config, lr, steps - rising), { steps: rising });
};
