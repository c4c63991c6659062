import { ArgumentError, keep, ShapeError, Tensor, valueAndGrad } from "@striate/core";
import { evaluating } from "@striate/nn";
import { type Classifier, expectLayer } from "./layers.js";
import { type ReluRule, reluRulesOf } from "./relu-rules.js";

export interface DeconvnetOptions {
  /** Feature map whose strongest activation is followed down. */
  readonly channel: number;
  /** Default "deconvnet". */
  readonly rule?: ReluRule | undefined;
}

/**
 * What in each image excites a feature map most (Zeiler and Fergus, section 2.1): all activations of `layer` but the
 * strongest of one map are set to zero, and the rest is brought back to the pixels through transposed convolutions,
 * unpooling with the maxima's places, and rectification. That is backpropagation with another rule at the ReLUs.
 * [N, C, H, W], the caller's to dispose; zeros for an image in which the map is silent.
 *
 * @throws ArgumentError for a layer or channel that is not there, or an unknown rule; ShapeError for a layer without maps
 */
export const deconvnet = async (
  net: Classifier,
  images: Tensor,
  layer: string,
  { channel, rule = "deconvnet" }: DeconvnetOptions,
): Promise<Tensor> => {
  expectLayer("deconvnet", net, layer);
  const rules = reluRulesOf("deconvnet", rule);
  let reached: Tensor | undefined;
  const stop = net.intercept((name, output) => {
    if (name === layer && output instanceof Tensor) {
      reached?.dispose();
      reached = keep(output.reshape(output.shape));
    }
    return undefined;
  });
  try {
    const { value, grads } = evaluating(net, () =>
      valueAndGrad(
        () => {
          net.forward(images);
          const output = reached;
          if (output?.rank !== 4)
            throw new ShapeError(
              `deconvnet: ${layer} returns ${output ? `[${output.shape.join(", ")}]` : "no tensor"}, expected feature maps [N, C, H, W]`,
            );
          const [count, channels, height, width] = output.shape as readonly [number, number, number, number];
          if (!(Number.isInteger(channel) && channel >= 0 && channel < channels))
            throw new ArgumentError(`deconvnet: channel is ${channel}, ${layer} has ${channels}`);
          const map = output.slice({ begin: [0, channel, 0, 0], end: [count, channel + 1, height, width] });
          // Its gradient is the activation itself, which is where a deconvnet starts from.
          return map
            .reshape([count, height * width])
            .max(1)
            .relu()
            .square()
            .mul(0.5)
            .sum();
        },
        [images],
        { rules },
      ),
    );
    value.dispose();
    return grads[0] as Tensor;
  } finally {
    stop();
    reached?.dispose();
  }
};
