import type { ModelBuilder } from "@striate/conformance";
import { type ModelName, modelNames, models } from "@striate/models";
import { build, logitsOf } from "@striate/nn";

const builderOf =
  (name: ModelName): ModelBuilder =>
  ({ backend, dtype }) => {
    const net = build(models[name].layer(), { backend, dtype, seed: 0, initialise: false }).eval();
    return {
      stateDict: () => net.stateDict(),
      forward: (images) => logitsOf(net.forward(images)),
      dispose: () => net.dispose(),
    };
  };

/** Torchvision's networks, by its names: those that golden vectors may be of. */
export const modelBuilders: Readonly<Record<string, ModelBuilder>> = Object.fromEntries(
  modelNames.filter((name) => "torchvision" in models[name]).map((name) => [name, builderOf(name)]),
);

/** Of the bundled vectors this one stands for all: the others take minutes. */
export const bundledNetworks: readonly string[] = ["resnet18"];
