import { join } from "node:path";
import { nearestName } from "@striate/backends";
import { cifar10, defaultCacheFolder } from "@striate/data/node";
import { type CommonOptions, createCommand, parseWith, readPath } from "../cli.js";
import { ConfigError } from "../config/resolve.js";
import { filesIn } from "../data-files.js";
import { dataReports } from "../training/data.js";
import type { CommandDefinition } from "./command.js";
import { unlessStopped } from "./unless-stopped.js";

const actions = ["fetch", "verify", "where"] as const;
type Action = (typeof actions)[number];

export interface DataOptions extends CommonOptions {
  readonly action: Action;
  readonly data: string | undefined;
}

const command = () =>
  createCommand({
    name: "data",
    summary: "Fetch CIFAR-10 into the cache, verify its files, or say where they are.",
    examples: [
      "npm run cifar10 -- data fetch",
      "npm run cifar10 -- data verify --data ~/data/cifar-10-batches-bin",
      "npm run cifar10 -- data where --json",
    ],
  })
    .argument("<action>", actions.join(", "))
    .option("--data <folder>", "cifar-10-batches-bin or -py, or the folder above it (default: the cache)", readPath);

const splits = ["train", "test"] as const;

export const dataCommand: CommandDefinition<DataOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options, [action = ""]) => {
      if (!actions.includes(action as Action)) {
        const nearest = nearestName(action, actions);
        throw new ConfigError(
          `there is no action ${JSON.stringify(action)}${nearest ? `; did you mean ${nearest}?` : ""}; they are ${actions.join(", ")}`,
        );
      }
      if (action === "fetch" && options["data"] !== undefined)
        throw new ConfigError("data fetch fills the cache; --data is for verify and where");
      return { ...options, action } as unknown as DataOptions;
    }),
  run: async ({ action, data }, { reporter, signal }) => {
    const folder = data ?? join(defaultCacheFolder(), "cifar-10-batches-bin");
    if (action === "where") {
      const files = filesIn(folder);
      reporter.event({ event: "data", folder, files }, ({ dim }) =>
        [
          folder,
          ...files.map(({ name, bytes }) => dim(`  ${name}  ${bytes === null ? "not there" : `${bytes} bytes`}`)),
        ].join("\n"),
      );
      return "ok";
    }
    return unlessStopped({ reporter, signal }, async () => {
      // Reading is verifying: every file is held to its SHA-256.
      for (const split of splits) {
        const { name, count } = await cifar10(split, {
          ...(data !== undefined && { dir: data }),
          offline: action === "verify",
          signal,
          onProgress: dataReports(reporter),
        });
        reporter.event(
          { event: "data", folder, split, name, images: count, verified: true },
          () => `${name}: ${count} images, every file as it should be`,
        );
      }
      return "ok";
    });
  },
};
