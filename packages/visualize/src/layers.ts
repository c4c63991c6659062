import { ArgumentError, keep, noGrad, Tensor } from "@striate/core";
import { evaluating, type Forward, logitsOf, type Module, type Output } from "@striate/nn";

/** A network that gives logits [N, classes] for images [N, C, H, W]. */
export type Classifier = Module<(x: Tensor) => Output>;

/** The layers of a network by name, as its observers hear them: `features.0`, `layer1.0.conv1`. */
export const layerNames = (net: Module<Forward>): string[] => {
  const below = (module: Module<Forward>, path: string): string[] =>
    [...module.children].flatMap(([name, child]) => {
      const own = path === "" ? name : `${path}.${name}`;
      return [own, ...below(child, own)];
    });
  return below(net, "");
};

/** @throws ArgumentError naming some that are there */
export const expectLayer = (op: string, net: Classifier, layer: string): void => {
  const names = layerNames(net);
  if (!names.includes(layer))
    throw new ArgumentError(`${op}: there is no layer ${JSON.stringify(layer)}; the layers are ${names.join(", ")}`);
};

/**
 * What layers return for `images`, in evaluation mode, by name: the caller disposes the tensors. A layer that runs more
 * than once gives its last output.
 *
 * @throws ArgumentError for a layer that is not there or returns no tensor
 */
export const activations = (net: Classifier, images: Tensor, layers: readonly string[]): Map<string, Tensor> => {
  for (const layer of layers) expectLayer("activations", net, layer);
  const found = new Map<string, Tensor>();
  const stop = net.observe((name, output) => {
    if (!layers.includes(name) || !(output instanceof Tensor)) return;
    found.get(name)?.dispose();
    found.set(name, keep(output.detach()));
  });
  try {
    evaluating(net, () => noGrad(() => logitsOf(net.forward(images)).dispose()));
    const silent = layers.filter((layer) => !found.has(layer));
    if (silent.length > 0) throw new ArgumentError(`activations: no tensor came from ${silent.join(", ")}`);
    return new Map(layers.map((layer) => [layer, found.get(layer) as Tensor]));
  } catch (error) {
    for (const tensor of found.values()) tensor.dispose();
    throw error;
  } finally {
    stop();
  }
};
