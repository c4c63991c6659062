import { ArgumentError, noGrad, scope } from "@striate/core";
import { batches, type ImageDataset } from "@striate/data";
import { evaluating } from "@striate/nn";
import { expectData, type SeriesNetwork } from "./network.js";

export interface PredictOptions {
  /** Default 128. */
  readonly MiniBatchSize?: number | undefined;
}

/**
 * The probabilities of the classes, a row an image.
 *
 * @throws ArgumentError for images of another size or a bad MiniBatchSize
 */
export const predict = async (
  net: SeriesNetwork,
  data: ImageDataset,
  { MiniBatchSize = 128 }: PredictOptions = {},
): Promise<Float32Array[]> => {
  expectData("predict", "data", data, net.InputSize);
  const { module, normalization, Classes } = net;
  const [parameter] = module.parameters();
  if (!parameter) throw new ArgumentError("predict: the network has no parameters");
  const rows: Float32Array[] = [];
  for (const { images } of batches(data, {
    backend: parameter.backend,
    size: MiniBatchSize,
    normalize: normalization,
  })) {
    const scores = noGrad(() => scope(() => evaluating(module, () => module.forward(images).softmax(1))));
    try {
      const values = await scores.data();
      for (let at = 0; at < values.length; at += Classes.length)
        rows.push(Float32Array.from(values.subarray(at, at + Classes.length)));
    } finally {
      scores.dispose();
    }
  }
  return rows;
};

/** The class of each image, [YPred, scores] = classify(net, X) in MATLAB. @throws as `predict` */
export const classify = async (
  net: SeriesNetwork,
  data: ImageDataset,
  options: PredictOptions = {},
): Promise<{ readonly YPred: string[]; readonly scores: Float32Array[] }> => {
  const scores = await predict(net, data, options);
  // The first of equals, as argmax.
  return { YPred: scores.map((row) => net.Classes[row.indexOf(Math.max(...row))] as string), scores };
};
