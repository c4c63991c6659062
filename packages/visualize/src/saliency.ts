import { noGrad, scope, type Tensor, valueAndGrad } from "@striate/core";
import { evaluating, logitsOf } from "@striate/nn";
import { chosenLogits, classesOf } from "./classes.js";
import type { Classifier } from "./layers.js";
import { type ReluRule, reluRulesOf } from "./relu-rules.js";

export interface SaliencyOptions {
  /** One an image. Default: what the network takes each for. */
  readonly classes?: readonly number[] | undefined;
  /** Default "gradient". */
  readonly rule?: ReluRule | undefined;
}

/**
 * The gradient of each image's class score, before the softmax, with respect to its pixels: [N, C, H, W], the caller's to
 * dispose. The largest magnitude over the channels is the saliency map of Simonyan et al., see `saliencyMap`.
 *
 * @throws ArgumentError for classes that are none or do not fit the images, or an unknown rule
 */
export const inputGradient = async (
  net: Classifier,
  images: Tensor,
  { classes: given, rule = "gradient" }: SaliencyOptions = {},
): Promise<Tensor> => {
  const rules = reluRulesOf("inputGradient", rule);
  const classes = await classesOf("inputGradient", net, images, given);
  const { value, grads } = evaluating(net, () =>
    valueAndGrad(() => chosenLogits("inputGradient", logitsOf(net.forward(images)), classes), [images], { rules }),
  );
  value.dispose();
  return grads[0] as Tensor;
};

/** max over channels of |gradient|: [N, C, H, W] -> [N, H, W] (arXiv 1312.6034, section 3.1). The caller disposes it. */
export const saliencyMap = (gradient: Tensor): Tensor => noGrad(() => scope(() => gradient.abs().max(1)));
