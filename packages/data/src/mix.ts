/** Batches whose images are mixtures of two, with targets in the same proportion. */
import { ArgumentError } from "@striate/core";
import { expectNumber } from "./arguments.js";
import type { DrawAddress } from "./augment.js";
import type { ImageDataset } from "./dataset.js";
import { imageSize } from "./dataset.js";
import { drawsFor, normalPair, streams, uniformInteger, uniformNumber } from "./streams.js";

/** timm's names. One of the alphas has to be above 0. */
export interface MixOptions {
  /**
   * Mixup (H. Zhang et al., ICLR 2018): images and targets become λ · own + (1 - λ) · the other's, with λ from
   * Beta(α, α). Default 0: off.
   */
  readonly mixupAlpha?: number | undefined;
  /**
   * CutMix (S. Yun et al., ICCV 2019): a rectangle of about the share 1 - λ of the area comes from the other image,
   * and its exact share goes into the targets. Default 0: off.
   */
  readonly cutmixAlpha?: number | undefined;
  /** Share of the batches that are mixed at all. Default 1. */
  readonly prob?: number | undefined;
  /** Where both are on, the share of CutMix. Default 0.5. */
  readonly switchProb?: number | undefined;
}

/** @throws ArgumentError */
export const expectMixOptions = ({ mixupAlpha = 0, cutmixAlpha = 0, prob = 1, switchProb = 0.5 }: MixOptions): void => {
  for (const [argument, value] of Object.entries({ mixupAlpha, cutmixAlpha }))
    expectNumber("batches", `mix.${argument}`, value, 0, 1e6);
  for (const [argument, value] of Object.entries({ prob, switchProb }))
    expectNumber("batches", `mix.${argument}`, value, 0, 1);
  if (mixupAlpha === 0 && cutmixAlpha === 0)
    throw new ArgumentError("batches: mix has neither mixupAlpha nor cutmixAlpha, expected one above 0");
};

/**
 * log of a number from Gamma(alpha, 1): G. Marsaglia, W. Tsang, "A Simple Method for Generating Gamma Variables", 2000.
 * In logarithms, because small alphas give numbers below what a double holds.
 */
const logGamma = (alpha: number, draw: () => Uint32Array): number => {
  const d = (alpha < 1 ? alpha + 1 : alpha) - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const [w0, w1, w2, w3] = draw() as unknown as readonly [number, number, number, number];
    const [x] = normalPair(w0, w1);
    const v = (1 + c * x) ** 3;
    // Never 0, where the logarithm ends.
    const u = (w2 + 0.5) / 2 ** 32;
    if (v <= 0 || Math.log(u) >= 0.5 * x * x + d - d * v + d * Math.log(v)) continue;
    const boost = alpha < 1 ? Math.log((w3 + 0.5) / 2 ** 32) / alpha : 0;
    return Math.log(d * v) + boost;
  }
};

/** A number from Beta(alpha, alpha). */
const symmetricBeta = (alpha: number, draw: () => Uint32Array): number => {
  const first = logGamma(alpha, draw);
  const second = logGamma(alpha, draw);
  return 1 / (1 + Math.exp(second - first));
};

/** What is done to a whole batch: an image keeps the share `lambda` of itself. */
export type Mixture =
  | { readonly kind: "none" }
  | { readonly kind: "mixup"; readonly lambda: number }
  | {
      readonly kind: "cutmix";
      readonly lambda: number;
      readonly top: number;
      readonly bottom: number;
      readonly left: number;
      readonly right: number;
    };

/** The mixture of batch `index` of an epoch: a function of (seed, epoch, index) alone. */
export const mixtureOf = (
  { mixupAlpha = 0, cutmixAlpha = 0, prob = 1, switchProb = 0.5 }: MixOptions,
  { height, width }: Pick<ImageDataset, "height" | "width">,
  { seed, epoch }: DrawAddress,
  index: number,
): Mixture => {
  let block = 0;
  const draw = (): Uint32Array => drawsFor(seed, streams.mix, epoch, index, block++);
  const [mixed, choice, down, right] = draw() as unknown as readonly [number, number, number, number];
  if (uniformNumber(mixed) >= prob) return { kind: "none" };
  const cut = cutmixAlpha > 0 && (mixupAlpha === 0 || uniformNumber(choice) < switchProb);
  const lambda = symmetricBeta(cut ? cutmixAlpha : mixupAlpha, draw);
  if (!cut) return { kind: "mixup", lambda };
  const reach = 0.5 * Math.sqrt(1 - lambda);
  const span = (word: number, size: number): [number, number] => {
    const centre = uniformInteger(word, size);
    const half = Math.floor(reach * size);
    return [Math.max(centre - half, 0), Math.min(centre + half, size)];
  };
  const [top, bottom] = span(down, height);
  const [left, end] = span(right, width);
  return {
    kind: "cutmix",
    lambda: 1 - ((bottom - top) * (end - left)) / (height * width),
    top,
    bottom,
    left,
    right: end,
  };
};

/** Mixes each image of a batch, in place, with the one before it, the first with the last. */
export const mixImages = (
  values: Float32Array,
  mixture: Mixture,
  geometry: Pick<ImageDataset, "channels" | "height" | "width">,
): void => {
  const { channels, height, width } = geometry;
  const size = imageSize(geometry);
  const count = values.length / size;
  if (mixture.kind === "none" || count === 0) return;
  const last = values.slice((count - 1) * size);
  // From the end, so that the one before is still itself.
  for (let i = count - 1; i >= 0; i--) {
    const begin = i * size;
    const other = i === 0 ? last : values.subarray(begin - size, begin);
    if (mixture.kind === "mixup") {
      const { lambda } = mixture;
      for (let j = 0; j < size; j++)
        values[begin + j] = lambda * (values[begin + j] as number) + (1 - lambda) * (other[j] as number);
    } else {
      const { top, bottom, left, right } = mixture;
      for (let channel = 0; channel < channels; channel++)
        for (let y = top; y < bottom; y++) {
          const row = (channel * height + y) * width;
          values.set(other.subarray(row + left, row + right), begin + row + left);
        }
    }
  }
};

/** [labels, classes]: one-hot rows in the mixture's proportion. */
export const mixTargets = (labels: ArrayLike<number>, classes: number, mixture: Mixture): Float32Array => {
  const targets = new Float32Array(labels.length * classes);
  const lambda = mixture.kind === "none" ? 1 : mixture.lambda;
  for (let i = 0; i < labels.length; i++) {
    const own = i * classes + (labels[i] as number);
    const other = i * classes + (labels[(i === 0 ? labels.length : i) - 1] as number);
    if (own === other) targets[own] = 1;
    else {
      targets[own] = lambda;
      targets[other] = 1 - lambda;
    }
  }
  return targets;
};
