export { type AdadeltaOptions, adadelta, adadeltaRule } from "./adadelta.js";
export { type AdagradOptions, adagrad, adagradRule } from "./adagrad.js";
export { type AdamOptions, adam, adamRule, adamw, adamwRule } from "./adam.js";
export type { AveragesState } from "./averages.js";
export { type ClippedGradients, clipGradNorm, clipGradValue } from "./clip.js";
export { type Ema, type EmaOptions, ema } from "./ema.js";
export {
  crossEntropyProbe,
  type StochasticDiagonalLm,
  type StochasticDiagonalLmOptions,
  stochasticDiagonalLm,
  stochasticDiagonalLmRule,
} from "./levenberg-marquardt.js";
export { type Lookahead, type LookaheadOptions, lookahead } from "./lookahead.js";
export { type MuonOptions, muon, muonRule } from "./muon.js";
export type {
  GradientTransform,
  GroupOptions,
  MakeOptimizer,
  Optimizer,
  OptimizerState,
  ParameterGroup,
  RuleGroup,
} from "./optimizer.js";
export { mixedOptimizer } from "./optimizer.js";
export { type PlateauOptions, type PlateauState, type ReduceLrOnPlateau, reduceLrOnPlateau } from "./plateau.js";
export { type RmspropOptions, rmsprop, rmspropRule } from "./rmsprop.js";
export type { ParameterState, Rule, Slots, Updated } from "./rule.js";
export {
  constantLr,
  cosineAnnealingLr,
  cosineAnnealingWarmRestarts,
  exponentialLr,
  linearLr,
  multiStepLr,
  type OneCycleOptions,
  oneCycleLr,
  piecewiseLinearLr,
  polynomialLr,
  type Schedule,
  sequentialLr,
  stepLr,
  warmup,
} from "./schedules.js";
export { type SgdOptions, sgd, sgdRule } from "./sgd.js";
export { chainTransforms, clippingNorm, clippingValue, type L1PenaltyOptions, l1Penalty } from "./transforms.js";
