import { join } from "node:path";
import { loadWeights } from "@striate/checkpoint";
import { loadSafetensors } from "@striate/checkpoint/node";
import type { Backend, Tensor } from "@striate/core";
import { build, type Module, type Output } from "@striate/nn";
import type { Config } from "../config/schema.js";
import { RunError, runConfig } from "../runs.js";
import { layerOf } from "./networks.js";

export type Net = Module<(x: Tensor) => Output>;

/**
 * The network of a run with the weights that it came to. The caller disposes it.
 * @throws RunError; ArgumentError for weights that do not fit the config
 */
export const trainedNetwork = async (
  run: string,
  backend: Backend,
  classes: number,
): Promise<{ readonly net: Net; readonly config: Config }> => {
  const config = runConfig(run);
  const file = join(run, "weights.safetensors");
  const { tensors } = await loadSafetensors(file).catch((error: unknown) => {
    throw new RunError(`the weights of the run cannot be read: ${(error as Error).message}`, { cause: error });
  });
  const net = build(layerOf(config.network, { classes }), { backend, seed: config.seed });
  try {
    await loadWeights(net, tensors);
    return { net, config };
  } catch (error) {
    net.dispose();
    throw error;
  }
};
