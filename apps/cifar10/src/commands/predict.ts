import { noGrad, scope, softmax } from "@striate/core";
import { cifar10Classes } from "@striate/data";
import { logitsOf } from "@striate/nn";
import { withViews } from "@striate/train";
import { openBackend } from "../backend.js";
import { type CommonOptions, createCommand, parseWith, readCount, readPath } from "../cli.js";
import { ConfigError } from "../config/resolve.js";
import { pictureTensor, readPicture, statisticsOf } from "../pictures.js";
import { percent } from "../progress-line.js";
import { findRun } from "../runs.js";
import { trainedNetwork } from "../training/trained.js";
import type { CommandDefinition } from "./command.js";

export interface PredictOptions extends CommonOptions {
  readonly images: readonly string[];
  readonly run: string | undefined;
  readonly top: number;
  readonly backend: string;
}

const command = () =>
  createCommand({
    name: "predict",
    summary: "Say what PNG or JPEG pictures show, by the weights of a run (default: the newest).",
    examples: ["npm run cifar10 -- predict cat.png", "npm run cifar10 -- predict *.jpg --top 1 --json"],
    details: () => "Pictures are scaled to 32x32 pixels, their middle cut out where they are not square.",
  })
    .argument("<image...>", "files")
    .option("--run <folder>", "whose weights", readPath)
    .option("--top <n>", "so many classes of each picture", readCount(1, 10), 3)
    .option("--backend <name>", "what computes", "auto");

export interface Prediction {
  readonly class: string;
  readonly probability: number;
}

/** The most probable classes, the first first. */
export const topClasses = (probabilities: ArrayLike<number>, classes: readonly string[], count: number): Prediction[] =>
  classes
    .map((name, i) => ({ class: name, probability: probabilities[i] as number }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, count);

export const predict: CommandDefinition<PredictOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options, images) => {
      if (images.some((image) => image.trim() === "")) throw new ConfigError("an image without a name");
      return { ...options, images } as unknown as PredictOptions;
    }),
  run: async ({ images: files, run: given, top, backend: name }, { reporter, signal }) => {
    const run = findRun(given);
    // All of them before the first answer: a file that is no picture shall not come after half of the results.
    const pictures = await Promise.all(files.map(readPicture));
    const { backend } = await openBackend(name);
    try {
      const { net, config } = await trainedNetwork(run, backend, cifar10Classes.length);
      const statistics = statisticsOf(config.data.source);
      net.eval();
      const forward = withViews((x) => logitsOf(net.forward(x)), config.views);
      for (const [i, pixels] of pictures.entries()) {
        if (signal.aborted) return "ok";
        const probabilities = noGrad(() =>
          scope(() => softmax(forward(pictureTensor(pixels, statistics, backend)), 1)),
        );
        const data = await probabilities.data().finally(() => probabilities.dispose());
        const predictions = topClasses(data, statistics.classes, top);
        const file = files[i] as string;
        reporter.event({ event: "prediction", image: file, predictions, run }, ({ bold, dim }) =>
          [
            bold(file),
            ...predictions.map((p) => `  ${percent(p.probability).padStart(7)}  ${p.class}`),
            ...(i === pictures.length - 1 ? [dim(run)] : []),
          ].join("\n"),
        );
      }
      return "ok";
    } finally {
      backend.dispose();
    }
  },
};
