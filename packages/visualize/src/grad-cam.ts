import { noGrad, ShapeError, scope, Tensor, valueAndGrad } from "@striate/core";
import { evaluating, logitsOf } from "@striate/nn";
import { chosenLogits, classesOf } from "./classes.js";
import { activations, type Classifier } from "./layers.js";

export interface GradCamOptions {
  /** One an image. Default: what the network takes each for. */
  readonly classes?: readonly number[] | undefined;
}

/**
 * Where `layer` saw evidence for a class: its feature maps, each weighted by the mean gradient of the class score with
 * respect to it, summed and rectified (R. Selvaraju et al., ICCV 2017, equations 1 and 2). [N, h, w], of the maps' own size,
 * which `overlay` brings to the picture's; the caller's to dispose. Zeros where nothing speaks for the class.
 *
 * @param layer one that returns feature maps [N, C, h, w]: the last convolutional stage, as a rule
 * @throws ArgumentError, ShapeError for a layer that does not fit
 */
export const gradCam = async (
  net: Classifier,
  images: Tensor,
  layer: string,
  { classes: given }: GradCamOptions = {},
): Promise<Tensor> => {
  const classes = await classesOf("gradCam", net, images, given);
  const maps = activations(net, images, [layer]).get(layer) as Tensor;
  try {
    if (maps.rank !== 4)
      throw new ShapeError(`gradCam: ${layer} returns [${maps.shape.join(", ")}], expected feature maps [N, C, H, W]`);
    // The rest of the network as a function of the maps: they take the place of what the layer returns.
    const stop = net.intercept((name, output) =>
      name === layer && output instanceof Tensor ? maps.reshape(maps.shape) : undefined,
    );
    try {
      const { value, grads } = evaluating(net, () =>
        valueAndGrad(() => chosenLogits("gradCam", logitsOf(net.forward(images)), classes), [maps]),
      );
      value.dispose();
      const gradient = grads[0] as Tensor;
      try {
        return noGrad(() =>
          scope(() =>
            maps
              .mul(gradient.mean([2, 3], { keepDims: true }))
              .sum(1)
              .relu(),
          ),
        );
      } finally {
        gradient.dispose();
      }
    } finally {
      stop();
    }
  } finally {
    maps.dispose();
  }
};
