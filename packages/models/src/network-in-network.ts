/** M. Lin, Q. Chen, S. Yan, "Network In Network", ICLR 2014: the network of section 4 for CIFAR-10. */
import {
  adaptiveAvgPool2d,
  avgPool2d,
  conv2d,
  dropout as dropoutLayer,
  flatten,
  type InitOptions,
  init,
  type Layer,
  maxPool2d,
  relu,
  sequential,
} from "@striate/nn";

export interface NetworkInNetworkOptions {
  /** Default 10. */
  readonly classes?: number;
  /** Between the mlpconv layers. Default 0.5. */
  readonly dropout?: number;
}

/** The paper does not say; these carry a signal through nine layers of ReLU. */
const inits = (): InitOptions => ({
  weightInit: init.kaimingNormal(),
  biasInit: init.constant(0),
});

/** A convolution, and a perceptron with two more layers that slides with it (section 3.1). */
const mlpconv = (inChannels: number, kernel: number, widths: readonly [number, number, number]): Layer[] => {
  const [a, b, c] = widths;
  return [
    conv2d(inChannels, a, kernel, { padding: (kernel - 1) / 2, ...inits() }),
    relu(),
    conv2d(a, b, 1, inits()),
    relu(),
    conv2d(b, c, 1, inits()),
    relu(),
  ];
};

const half = { stride: 2, ceilMode: true } as const;

/** For [N, 3, 32, 32]; each class is a map, and its mean over the image the logit (section 3.2). 966,986 parameters. */
export const networkInNetwork = ({ classes = 10, dropout = 0.5 }: NetworkInNetworkOptions = {}): Layer =>
  sequential([
    ...mlpconv(3, 5, [192, 160, 96]),
    maxPool2d(3, half),
    dropoutLayer(dropout),
    ...mlpconv(96, 5, [192, 192, 192]),
    avgPool2d(3, half),
    dropoutLayer(dropout),
    ...mlpconv(192, 3, [192, 192, classes]),
    adaptiveAvgPool2d(1),
    flatten(),
  ]);
