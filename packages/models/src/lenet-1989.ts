/**
 * The network that read zip codes: Y. LeCun et al., "Backpropagation Applied to Handwritten Zip Code Recognition",
 * Neural Computation 1(4), 1989, section 4.
 */
import { conv2d, flatten, init, inOrder, type Layer, linear, partialConv2d, scaledTanh } from "@striate/nn";

/** Uniform in ±2.4 / fan-in: weights and biases. */
const inits = {
  weightInit: /* @__PURE__ */ init.fanInUniform(2.4),
  biasInit: /* @__PURE__ */ init.fanInUniform(2.4),
} as const;

/**
 * The maps of H1 that feed each map of H2: eight of the twelve. The paper keeps its scheme to itself; here they are
 * neighbours in a ring, so that each map of H1 is used eight times and no two maps of H2 see the same.
 */
export const lenet1989Connections: readonly (readonly number[])[] = /* @__PURE__ */ Array.from(
  { length: 12 },
  (_, map) => Array.from({ length: 8 }, (_, i) => (map + i) % 12),
);

/** State of the plane around the images, and around the maps of H1: paper, on which nothing is written. */
const background = -1;

/** 5x5 windows in steps of two pixels, over an edge of background, and a bias of its own for every unit. */
const undersampled =
  (convolution: Layer, fanIn: number, size: number): Layer =>
  (m) => {
    const sums = convolution(m);
    const bias = m.parameter("bias", [12, size, size], inits.biasInit, { fanIn, fanOut: 1 });
    return (x) => sums(x.pad2d([2, 1, 2, 1], { value: background })).add(bias);
  };

export interface Lenet1989Options {
  /** Default 10. */
  readonly classes?: number;
}

/**
 * [N, 1, 16, 16] with paper at -1 and ink at 1 -> [N, 10] in ±1.7159, all layers squashed by 1.7159 tanh(2/3 a); to be
 * trained by squared error towards 1 for the digit and -1 for the others. 1,256 units with those of the input, 64,660
 * connections, 9,760 parameters: h1 and h2 (12 maps of 8x8 and 4x4), h3 (30 units) and output, each with weight and
 * bias.
 */
export const lenet1989 =
  ({ classes = 10 }: Lenet1989Options = {}): Layer =>
  (m) => {
    const options = { stride: 2, bias: false, weightInit: inits.weightInit } as const;
    return inOrder(m, {
      h1: undersampled(conv2d(1, 12, 5, options), 25, 8),
      squash1: scaledTanh(),
      h2: undersampled(partialConv2d(12, lenet1989Connections, 5, options), 200, 4),
      squash2: scaledTanh(),
      flatten: flatten(),
      h3: linear(192, 30, inits),
      squash3: scaledTanh(),
      output: linear(30, classes, inits),
      squash4: scaledTanh(),
    });
  };
