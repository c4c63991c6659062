/** M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 3, figure 3. */
import { conv2d, type InitOptions, identity, init, type Layer, maxPool2d, relu } from "@striate/nn";
import { type AlexNetOptions, krizhevskyNorm } from "./alexnet.js";
import { dropoutFirst, featuresClassifier } from "./features-classifier.js";

export interface ZfNetOptions extends AlexNetOptions {}

/** Section 3.1: all weights 0.01, which is read as the deviation, biases 0. */
const inits = (): InitOptions => ({
  weightInit: init.normal(0, 0.01),
  biasInit: init.constant(0),
});

/** Ceil mode gives the figure's sizes: 110 to 55, 26 to 13. */
const pool = (): Layer => maxPool2d(3, { stride: 2, ceilMode: true });

/** For [N, 3, 224, 224]: AlexNet on one GPU, with smaller steps and windows at the start; 62,357,608 parameters. */
export const zfnet = ({ classes = 1000, dropout = 0.5 }: ZfNetOptions = {}): Layer =>
  featuresClassifier(
    [
      conv2d(3, 96, 7, { stride: 2, padding: 1, ...inits() }),
      relu(),
      pool(),
      krizhevskyNorm(),
      conv2d(96, 256, 5, { stride: 2, ...inits() }),
      relu(),
      pool(),
      krizhevskyNorm(),
      conv2d(256, 384, 3, { padding: 1, ...inits() }),
      relu(),
      conv2d(384, 384, 3, { padding: 1, ...inits() }),
      relu(),
      conv2d(384, 256, 3, { padding: 1, ...inits() }),
      relu(),
      pool(),
    ],
    identity(),
    dropoutFirst(9216, { classes, dropout }, { hidden: inits(), last: inits() }),
  );
