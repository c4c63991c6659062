import { nearestName } from "@striate/backends";
import { formatSummary, type ModelName, summary, models as table } from "@striate/models";
import { type CommonOptions, createCommand, parseWith } from "../cli.js";
import { ConfigError } from "../config/resolve.js";
import { layerOf, networkNames } from "../training/networks.js";
import type { CommandDefinition } from "./command.js";

export interface ModelsOptions extends CommonOptions {
  readonly network: ModelName | undefined;
}

const command = () =>
  createCommand({
    name: "models",
    summary: "The networks that --network takes: parameters, multiply-adds an image, paper; or the layers of one.",
    examples: ["npm run cifar10 -- models", "npm run cifar10 -- models resnet20"],
    details: () =>
      "Counted for 10 classes, and for images of CIFAR-10 where the network takes them so small: others say their size.",
  }).argument("[network]", "whose layers to list");

const grouped = (n: number): string => n.toLocaleString("en-US");

const cifar = [3, 32, 32] as const;

/** Counts for 32x32 pixels where the network takes them, or else for the size that it was made for. */
const countsOf = (name: ModelName) => {
  const layer = layerOf({ name, options: {} }, { classes: 10 });
  try {
    return summary(layer, cifar);
  } catch {
    return summary(layer, table[name].input);
  }
};

export const models: CommandDefinition<ModelsOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options, [network]) => {
      if (network !== undefined && !networkNames.includes(network as ModelName)) {
        const nearest = nearestName(network, networkNames);
        throw new ConfigError(
          `there is no network ${JSON.stringify(network)}${nearest ? `; did you mean ${nearest}?` : ""}; they are ${networkNames.join(", ")}`,
        );
      }
      return { ...options, network } as unknown as ModelsOptions;
    }),
  run: async ({ network }, { reporter, signal }) => {
    if (network !== undefined) {
      const counts = countsOf(network);
      reporter.event({ event: "network", name: network, ...counts }, () => formatSummary(counts));
      return "ok";
    }
    const widest = Math.max(...networkNames.map((name) => name.length));
    for (const name of networkNames) {
      if (signal.aborted) return "ok";
      const { parameters, multiplyAdds, input } = countsOf(name);
      const { paper, about } = table[name];
      reporter.event({ event: "network", name, parameters, multiplyAdds, input, paper, about }, ({ dim }) => {
        const figures = `${grouped(parameters).padStart(11)} parameters ${`${(multiplyAdds / 1e6).toFixed(1)} M`.padStart(9)} MACs`;
        const size = input[1] === 32 ? "" : ` (${input.join("x")})`;
        return `${name.padEnd(widest)}  ${figures}${size}  ${dim([about, paper].filter((text) => text).join("; "))}`;
      });
    }
    return "ok";
  },
};
