/** I. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio, "Maxout Networks", ICML 2013, section 5.2. */
import { conv2d, dropout, flatten, inOrder, type Layer, type Layers, linear, maxout, maxPool2d } from "@striate/nn";

export interface MaxoutNetworkOptions {
  /**
   * Maps of the three convolutions, then units of the fully connected layer, all behind the maximum. Default the
   * paper's: 96, 192, 192, 500.
   */
  readonly widths?: readonly [number, number, number, number];
  /** Linear pieces of a unit: of the convolutions, and of the fully connected layer. Default 2 and 5. */
  readonly pieces?: readonly [number, number];
  /** Probabilities of dropping a value of the image, and one in front of each later layer. Default 0.2 and 0.5. */
  readonly dropout?: readonly [number, number];
  /** Default 10. */
  readonly classes?: number;
}

/** Kernel, padding, pool; pools go in steps of 2. As in the authors' configuration, which the paper leaves to it. */
const stages = [
  [8, 4, 4],
  [8, 3, 4],
  [5, 3, 2],
] as const;

/** Height and width of what the stages leave of 32x32. */
const left = 5;

/**
 * The network for CIFAR-10: three convolutions and a fully connected layer, each unit the maximum of linear pieces,
 * each behind a dropout. [N, 3, 32, 32] -> logits [N, classes]. The paper's inputs are contrast-normalized and
 * whitened, and its weights bounded in norm. The pieces of a map are neighbours: weight rows piece · i to piece · i +
 * pieces - 1.
 */
export const maxoutNetwork = (options: MaxoutNetworkOptions = {}): Layer => {
  const { widths = [96, 192, 192, 500], pieces = [2, 5], dropout: rates = [0.2, 0.5], classes = 10 } = options;
  const [maps, units] = pieces;
  const layers: Record<string, Layer> = {};
  stages.forEach(([kernel, padding, pool], i) => {
    const inChannels = widths[i - 1] ?? 3;
    const name = `${i + 1}`;
    layers[`drop${name}`] = dropout(rates[i === 0 ? 0 : 1]);
    layers[`conv${name}`] = conv2d(inChannels, (widths[i] as number) * maps, kernel, { padding });
    layers[`max${name}`] = maxout(maps);
    layers[`pool${name}`] = maxPool2d(pool, { stride: 2, ceilMode: true });
  });
  const head: Layers = {
    flatten: flatten(),
    drop4: dropout(rates[1]),
    fc1: linear(widths[2] * left ** 2, widths[3] * units),
    max4: maxout(units),
    drop5: dropout(rates[1]),
    fc2: linear(widths[3], classes),
  };
  return (m) => inOrder(m, { ...layers, ...head });
};
