import { type ImageDataset, splitDataset, syntheticDataset } from "@striate/data";
import { cifar10, type DataProgress } from "@striate/data/node";
import { ConfigError, validationImages } from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import { megabytes } from "../progress-line.js";
import type { Reporter } from "../reporter.js";

const dataPhases = { download: "downloading", decode: "unpacking", verify: "reading" } as const;

/** Shows where reading or fetching the data stands. */
export const dataReports = (reporter: Pick<Reporter, "notice" | "progress">): ((event: DataProgress) => void) => {
  const announced = new Set<string>();
  return (event) => {
    if (event.phase === "notice") {
      reporter.notice(event.message);
      return;
    }
    const { phase, source, received, total } = event;
    // For logs too: it takes minutes.
    if (phase === "download" && !announced.has(source)) {
      announced.add(source);
      reporter.notice(`fetching CIFAR-10 from ${source}${total === undefined ? "" : ` (${megabytes(total)})`}`);
    }
    const details = received > 0 ? [megabytes(received)] : [];
    reporter.progress({ phase: `${dataPhases[phase]} CIFAR-10`, done: received, total, details });
  };
};

/** Everything of a split. @throws DataError; the signal's reason */
export const loadSplit = async (
  split: "train" | "test",
  { data, seed }: Pick<Config, "data" | "seed">,
  reporter: Pick<Reporter, "notice" | "progress">,
  signal: AbortSignal,
): Promise<ImageDataset> =>
  data.source === "synthetic"
    ? syntheticDataset({ split, count: split === "train" ? 2048 : 512, seed })
    : cifar10(split, {
        ...(data.folder !== null && { dir: data.folder }),
        offline: data.offline,
        signal,
        onProgress: dataReports(reporter),
      });

export interface TrainingData {
  readonly training: ImageDataset;
  /** Held out; undefined where nothing is. */
  readonly validation: ImageDataset | undefined;
}

/** The training images, and those held out of them. @throws ConfigError, DataError; the signal's reason */
export const loadTrainingData = async (
  config: Config,
  reporter: Pick<Reporter, "notice" | "progress">,
  signal: AbortSignal,
): Promise<TrainingData> => {
  const all = await loadSplit("train", config, reporter, signal);
  // Generated images are few: a tenth is held out there too.
  const wanted = validationImages(config);
  const held = config.data.validation === null && wanted > 0 ? Math.floor(all.count / 10) : wanted;
  if (held === 0) return { training: all, validation: undefined };
  if (held >= all.count) throw new ConfigError(`data.validation is ${held}, but there are only ${all.count} images`);
  const { train, validation } = splitDataset(all, { validation: held, seed: config.seed });
  return { training: train, validation };
};
