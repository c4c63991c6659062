/**
 * A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
 * section 3.5; and the one-tower form of A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, in the
 * widths that torchvision has.
 */
import {
  adaptiveAvgPool2d,
  conv2d,
  type InitOptions,
  identity,
  init,
  type Layer,
  localResponseNorm,
  maxPool2d,
  relu,
} from "@striate/nn";
import { dropoutFirst, featuresClassifier } from "./features-classifier.js";

export interface AlexNetOptions {
  /** Default 1000. */
  readonly classes?: number;
  /** Of the hidden layers' inputs. Default 0.5. */
  readonly dropout?: number;
}

const pool = (): Layer => maxPool2d(3, { stride: 2 });

/** Torchvision's, for [N, 3, H, W] from 63x63: 61,100,840 parameters, no normalization, no groups. */
export const alexnet = ({ classes = 1000, dropout = 0.5 }: AlexNetOptions = {}): Layer =>
  featuresClassifier(
    [
      conv2d(3, 64, 11, { stride: 4, padding: 2 }),
      relu(),
      pool(),
      conv2d(64, 192, 5, { padding: 2 }),
      relu(),
      pool(),
      conv2d(192, 384, 3, { padding: 1 }),
      relu(),
      conv2d(384, 256, 3, { padding: 1 }),
      relu(),
      conv2d(256, 256, 3, { padding: 1 }),
      relu(),
      pool(),
    ],
    adaptiveAvgPool2d(6),
    dropoutFirst(9216, { classes, dropout }),
  );

/** Section 5: normal with deviation 0.01; biases 1 where that gives ReLUs positive inputs at first, else 0. */
const began = (bias: 0 | 1): InitOptions => ({
  weightInit: init.normal(0, 0.01),
  biasInit: init.constant(bias),
});

/** Section 3.3: neither is alpha divided by the size, as it is elsewhere, nor is k 1. */
export const krizhevskyNorm = (): Layer => localResponseNorm(5, { k: 2, alpha: 1e-4, beta: 0.75, divideBySize: false });

/**
 * As published, for [N, 3, 227, 227]: 60,965,224 parameters. What lay on two GPUs are two groups of convolutions 2, 4
 * and 5; the third and the fully connected layers see both.
 */
export const alexnet2012 = ({ classes = 1000, dropout = 0.5 }: AlexNetOptions = {}): Layer =>
  featuresClassifier(
    [
      conv2d(3, 96, 11, { stride: 4, ...began(0) }),
      relu(),
      krizhevskyNorm(),
      pool(),
      conv2d(96, 256, 5, { padding: 2, groups: 2, ...began(1) }),
      relu(),
      krizhevskyNorm(),
      pool(),
      conv2d(256, 384, 3, { padding: 1, ...began(0) }),
      relu(),
      conv2d(384, 384, 3, { padding: 1, groups: 2, ...began(1) }),
      relu(),
      conv2d(384, 256, 3, { padding: 1, groups: 2, ...began(1) }),
      relu(),
      pool(),
    ],
    identity(),
    dropoutFirst(9216, { classes, dropout }, { hidden: began(1), last: began(0) }),
  );
