/** The checkpoints of a run folder: which there are, and which can be read. */
import fs from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "@striate/checkpoint";
import { type Checkpoint, decodeCheckpoint } from "../checkpoint.js";
import { TrainingError } from "../errors.js";
import { systemCode } from "./system-errors.js";

const folderName = "checkpoints";

export const checkpointFolder = (run: string): string => join(run, folderName);

/** Relative to the run folder, as metrics name it. */
export const checkpointFile = (step: number): string => `${folderName}/step-${`${step}`.padStart(8, "0")}.safetensors`;

export interface CheckpointEntry {
  /** Steps made. */
  readonly step: number;
  /** Relative to the run folder. */
  readonly file: string;
}

/** The checkpoints in a run folder, the newest first, whatever is in them. None where there is no folder. */
export const listCheckpoints = async (run: string): Promise<CheckpointEntry[]> => {
  const names = await fs.readdir(checkpointFolder(run)).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return [];
    throw new TrainingError("run-missing", `cannot read ${checkpointFolder(run)}: ${(error as Error).message}`, {
      cause: error,
    });
  });
  return names
    .flatMap((name) => {
      const step = Number(/^step-(\d{8,15})\.safetensors$/.exec(name)?.[1]);
      return Number.isSafeInteger(step) ? [{ step, file: `${folderName}/${name}` }] : [];
    })
    .sort((a, b) => b.step - a.step);
};

/** @throws CheckpointError `checkpoint-missing`, `checkpoint-read`, or as `decodeCheckpoint` with the path in front */
export const readCheckpoint = async (path: string): Promise<Checkpoint> => {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    // Never shared memory.
    bytes = (await fs.readFile(path)) as Uint8Array<ArrayBuffer>;
  } catch (error) {
    const missing = systemCode(error) === "ENOENT";
    throw new CheckpointError(
      missing ? "checkpoint-missing" : "checkpoint-read",
      `cannot read ${path}: ${(error as Error).message}`,
      { cause: error },
    );
  }
  try {
    return await decodeCheckpoint(bytes);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(error.code, `${path}: ${error.message}`, { cause: error });
  }
};

export interface FindOptions {
  /** That checkpoint and no other. */
  readonly step?: number | undefined;
  /** Hears of each checkpoint that was passed over, because it cannot be read or fails its checksum. */
  readonly onSkipped?: ((file: string, error: CheckpointError) => void) | undefined;
  /** Throws a CheckpointError (checkpoint-corrupt) for one that is whole, but shall be passed over. */
  readonly accept?: ((checkpoint: Checkpoint) => void) | undefined;
}

/**
 * The newest checkpoint that is whole; undefined where there is none at all.
 *
 * @throws CheckpointError when there are some and none can be read, or for one of another format version; TrainingError
 * (run-missing) when that of `step` is not there.
 */
export const newestCheckpoint = async (
  run: string,
  { step, onSkipped, accept }: FindOptions = {},
): Promise<(CheckpointEntry & { readonly checkpoint: Checkpoint }) | undefined> => {
  const all = await listCheckpoints(run);
  const entries = step === undefined ? all : all.filter((entry) => entry.step === step);
  if (step !== undefined && entries.length === 0)
    throw new TrainingError(
      "run-missing",
      `${run} has no checkpoint of step ${step}; it has ${all.map((entry) => entry.step).join(", ") || "none"}`,
    );
  let failure: CheckpointError | undefined;
  for (const entry of entries) {
    try {
      const checkpoint = await readCheckpoint(join(run, entry.file));
      accept?.(checkpoint);
      return { ...entry, checkpoint };
    } catch (error) {
      if (!(error instanceof CheckpointError) || error.code === "checkpoint-unsupported") throw error;
      failure = error;
      onSkipped?.(entry.file, error);
    }
  }
  if (failure) throw failure;
  return undefined;
};
