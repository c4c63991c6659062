/** The small networks that MATLAB courses begin with. */
import {
  avgPool2d,
  conv2d,
  flatten,
  type Layer,
  linear,
  maxPool2d,
  relu,
  scaledTanh,
  sequential,
  sigmoid,
  tanh,
} from "@striate/nn";

export interface MatlabCnnOptions {
  /** Default 1. */
  readonly channels?: number;
  /** Height and width of the images. Default 28. */
  readonly size?: number;
  /** Default 10. */
  readonly classes?: number;
}

/** A 5x5 convolution without padding, then a 2x2 pool. */
const afterStage = (size: number): number => Math.floor((size - 4) / 2);

/** The example of MATLAB's Deep Learning Toolbox: conv 5x5 with 20 maps, ReLU, max pool 2, fully connected. */
export const matlabExample = ({ channels = 1, size = 28, classes = 10 }: MatlabCnnOptions = {}): Layer =>
  sequential([conv2d(channels, 20, 5), relu(), maxPool2d(2), flatten(), linear(20 * afterStage(size) ** 2, classes)]);

const activations = { sigmoid, tanh, scaledTanh, relu } as const;

export interface MatlabSelfMadeOptions extends MatlabCnnOptions {
  /** After each convolution. Default "sigmoid". */
  readonly activation?: keyof typeof activations;
}

/**
 * The CNN that one writes oneself in MATLAB (after J. Bouvrie, "Notes on Convolutional Neural Networks", 2006): conv 5x5
 * with 20 maps, mean pool 2, conv 5x5 with 10 maps, mean pool 2, fully connected; the softmax is the loss's.
 */
export const matlabSelfMade = (options: MatlabSelfMadeOptions = {}): Layer => {
  const { channels = 1, size = 28, classes = 10, activation = "sigmoid" } = options;
  const squash = activations[activation];
  return sequential([
    conv2d(channels, 20, 5),
    squash(),
    avgPool2d(2),
    conv2d(20, 10, 5),
    squash(),
    avgPool2d(2),
    flatten(),
    linear(10 * afterStage(afterStage(size)) ** 2, classes),
  ]);
};
