/**
 * Layers whose weights are not shared between positions, for comparison with convolutions: Y. LeCun, "Generalization
 * and Network Design Strategies", 1989, section 3, compares such networks (Net-3 to Net-5); K. Gregor, Y. LeCun, arXiv
 * 1006.0448.
 */
import { conv2d, flatten, inOrder, type Layer, linear, locallyConnected2d, relu } from "@striate/nn";

export interface LocallyConnectedNetOptions {
  /** One kernel for all positions: the convolutional network of the same units and connections. Default false. */
  readonly shared?: boolean;
  /** Maps of the two layers. Default 16, 32. */
  readonly widths?: readonly [number, number];
  /** Default 10. */
  readonly classes?: number;
}

/**
 * [N, 3, 32, 32] -> logits [N, classes]: windows of 5x5 in steps of 2, then of 3x3 in steps of 2, ReLU, and a linear
 * layer. 416,906 parameters; 17,386 where they are shared.
 */
export const locallyConnectedNet = (options: LocallyConnectedNetOptions = {}): Layer => {
  const { shared = false, widths = [16, 32], classes = 10 } = options;
  const local = (inputs: number, outputs: number, kernel: number, outputSize: number): Layer =>
    shared
      ? conv2d(inputs, outputs, kernel, { stride: 2 })
      : locallyConnected2d(inputs, outputs, kernel, { outputSize, stride: 2 });
  const [first, second] = widths;
  return (m) =>
    inOrder(m, {
      local1: local(3, first, 5, 14),
      relu1: relu(),
      local2: local(first, second, 3, 6),
      relu2: relu(),
      flatten: flatten(),
      fc: linear(second * 36, classes),
    });
};
