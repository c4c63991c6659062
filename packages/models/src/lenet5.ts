/**
 * LeNet-5 in its modern form: ReLU, max pooling, full connections, softmax. What was published (Y. LeCun, L. Bottou,
 * Y. Bengio, P. Haffner, Proceedings of the IEEE 86(11), 1998, section II.B) is `lenet5Of1998`.
 */
import { ArgumentError } from "@striate/core";
import { conv2d, flatten, init, type Layer, linear, maxPool2d, relu, sequential } from "@striate/nn";

export interface Lenet5Options {
  /** 1 for grey, 3 for colour. Default 3. */
  readonly channels?: number;
  /**
   * Height and width of the images: 32, or 28, around which the first convolution then takes two pixels of 0. Default
   * 32.
   */
  readonly size?: 28 | 32;
  /** Default 10. */
  readonly classes?: number;
}

/** Initial values for layers before a ReLU (K. He et al., ICCV 2015). */
const inits = {
  weightInit: /* @__PURE__ */ init.kaimingUniform(),
  biasInit: /* @__PURE__ */ init.constant(0),
} as const;

/**
 * [N, channels, size, size] -> logits [N, classes]. 62,006 parameters for colour, 61,706 for grey.
 *
 * @throws ArgumentError for another size.
 */
export const lenet5 = ({ channels = 3, size = 32, classes = 10 }: Lenet5Options = {}): Layer => {
  if (size !== 28 && size !== 32) throw new ArgumentError(`lenet5: size is ${size}, expected 28 or 32`);
  return sequential([
    conv2d(channels, 6, 5, { padding: (32 - size) / 2, ...inits }),
    relu(),
    maxPool2d(2),
    conv2d(6, 16, 5, inits),
    relu(),
    maxPool2d(2),
    flatten(),
    linear(400, 120, inits),
    relu(),
    linear(120, 84, inits),
    relu(),
    linear(84, classes, inits),
  ]);
};
