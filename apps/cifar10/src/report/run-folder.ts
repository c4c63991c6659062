/** What a run left behind, read for reports. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, type HostTensor } from "@striate/checkpoint";
import { loadSafetensors } from "@striate/checkpoint/node";
import { z } from "zod";
import { ReportError } from "./error.js";
import { currentRecords, type MetricRecord, readMetrics } from "./metrics.js";
import { type Predictions, predictionsSchema } from "./predictions.js";

export interface RunFiles {
  readonly folder: string;
  /** What counts in the end: see `currentRecords`. */
  readonly records: readonly MetricRecord[];
  /** Lines of metrics.jsonl that a kill cut off. */
  readonly broken: number;
  readonly config: unknown;
  readonly environment: unknown;
  readonly summary: unknown;
  readonly predictions: Predictions | undefined;
  readonly weights: ReadonlyMap<string, HostTensor> | undefined;
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "ENOENT";

/** Undefined if there is no such file. @throws ReportError */
const readJson = async (folder: string, name: string): Promise<unknown> => {
  const file = join(folder, name);
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new ReportError(`report: ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
};

const readPredictions = async (folder: string): Promise<Predictions | undefined> => {
  const value = await readJson(folder, "predictions.json");
  if (value === undefined) return undefined;
  const parsed = predictionsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ReportError(
    `report: ${join(folder, "predictions.json")} is not as expected: ${z.prettifyError(parsed.error)}`,
  );
};

const readWeights = async (folder: string): Promise<RunFiles["weights"]> => {
  const file = join(folder, "weights.safetensors");
  try {
    return (await loadSafetensors(file)).tensors;
  } catch (error) {
    if (error instanceof CheckpointError && error.code === "checkpoint-missing") return undefined;
    throw error;
  }
};

/**
 * Only metrics.jsonl has to be there.
 *
 * @throws ReportError, or CheckpointError for the weights, where a file is not as this program writes it.
 */
export const readRun = async (folder: string): Promise<RunFiles> => {
  const { records, broken } = await readMetrics(join(folder, "metrics.jsonl"));
  return {
    folder,
    records: currentRecords(records),
    broken,
    config: await readJson(folder, "config.json"),
    environment: await readJson(folder, "environment.json"),
    summary: await readJson(folder, "summary.json"),
    predictions: await readPredictions(folder),
    weights: await readWeights(folder),
  };
};
