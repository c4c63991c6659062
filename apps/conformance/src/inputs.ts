import { readFile } from "node:fs/promises";
import { type ConformanceOptions, type KnownFailure, parseKnownFailures } from "@striate/conformance";
import { bundledVectors, loadTrainingImages, loadVectors } from "@striate/conformance/node";
import { bundledTrainingSteps, type Options } from "./options.js";

/** Something that the run was to read is missing or damaged. */
export class InputError extends Error {
  override readonly name = "InputError";
}

const loadKnownFailures = async (file: string | undefined): Promise<KnownFailure[]> => {
  if (file === undefined) return [];
  try {
    return parseKnownFailures(await readFile(file, "utf8"));
  } catch (error) {
    throw new InputError(`${file}: ${(error as Error).message}`, { cause: error });
  }
};

export type Inputs = Pick<ConformanceOptions, "vectors" | "images" | "trainingSteps" | "knownFailures">;

/** What the run reads from disk. @throws InputError */
export const loadInputs = async (options: Options): Promise<Inputs> => {
  const { vectors: folder, data, trainingSteps = folder === undefined ? bundledTrainingSteps : undefined } = options;
  const knownFailures = await loadKnownFailures(options.knownFailures);
  try {
    const vectors = await loadVectors(folder ?? bundledVectors);
    const images = vectors.trainings.length > 0 ? await loadTrainingImages(data) : undefined;
    return { vectors, knownFailures, ...(images && { images }), ...(trainingSteps !== undefined && { trainingSteps }) };
  } catch (error) {
    throw new InputError((error as Error).message, { cause: error });
  }
};
