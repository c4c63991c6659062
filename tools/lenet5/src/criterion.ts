/**
 * What LeNet-5 of 1998 is trained with, for each of its heads: the loss, and probes of the loss's second derivatives.
 */
import { concat, crossEntropy, full, noGrad, type RandomAddress, rand, type Tensor } from "@striate/core";
import { mapLoss } from "@striate/models";
import { crossEntropyProbe } from "@striate/optim";

export interface Criterion {
  loss(logits: Tensor, labels: Tensor): Tensor;
  /**
   * A scalar whose gradient by F6 is a random vector u with E[uu'] the second derivative of the loss with respect to
   * F6, or the Gauss-Newton part of it, of one image.
   */
  probe(f6: Tensor, logits: Tensor, address: RandomAddress): Tensor;
}

/** Distance of the rubbish class, which the paper does not give. */
const j = 20;

const signs = ({ shape, backend, dtype }: Tensor, address: RandomAddress): Tensor =>
  rand(shape, { ...address, backend, dtype })
    .lt(0.5)
    .cast(dtype)
    .mul(2)
    .sub(1);

/**
 * The criterion is a cross-entropy over the ten codes and a rubbish class of logit -j. It is so far from linear in the
 * distances that leaving out their own second derivative, as Gauss-Newton does at the logits, would lose most of it:
 * where all codes are far the loss is the distance to the right one, and p(rubbish) is 1. With it the second derivative
 * by F6 is exactly 2 p(rubbish) I + J'(diag(p) - pp')J.
 */
const map: Criterion = {
  loss: (logits, labels) => mapLoss(logits, labels, { j }),
  probe: (f6, logits, { seed, stream = 0, offset }) => {
    const { backend, dtype } = logits;
    const [images = 0, classes = 0] = logits.shape;
    const all = concat([logits, full([images, 1], -j, { backend, dtype })], 1);
    const direction = noGrad(() => {
      const rubbish = all.softmax(1).slice({ begin: [0, classes], end: [images, classes + 1] });
      return rubbish
        .mul(2)
        .sqrt()
        .mul(signs(f6, { seed, stream: stream + 1, offset }));
    });
    return crossEntropyProbe(all, { seed, stream, offset }).add(f6.mul(direction).sum());
  },
};

const softmax: Criterion = {
  loss: (logits, labels) => crossEntropy(logits, labels),
  probe: (_, logits, address) => crossEntropyProbe(logits, address),
};

/** By `head` of `lenet5Of1998`. */
export const criteria = { rbf: map, softmax } as const satisfies Readonly<Record<string, Criterion>>;
