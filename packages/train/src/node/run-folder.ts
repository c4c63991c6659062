/**
 * All that a run leaves, in one folder:
 *
 * - `config.json`, `environment.json`: what was run, and where;
 * - `metrics.jsonl`: what happened, one JSON object a line;
 * - `checkpoints/step-00000097.safetensors`: see checkpoint.ts;
 * - `weights.safetensors`, `summary.json` and whatever else the owner writes;
 * - `lock`: while a process trains in it.
 *
 * A checkpoint names the length that the metrics had then. A run that goes on from it drops what lies behind, so its
 * metrics become those of a run that was never interrupted.
 */
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { join } from "node:path";
import {
  CheckpointError,
  type Metadata,
  type NamedTensors,
  safetensorsChunks,
  tensorsToHost,
} from "@striate/checkpoint";
import { type FileSystem, removeTemporaries, replaceFile } from "@striate/checkpoint/node";
import { ArgumentError } from "@striate/core";
import { type Checkpoint, encodeCheckpoint } from "../checkpoint.js";
import { TrainingError } from "../errors.js";
import type { RunEvent } from "../metrics.js";
import {
  checkpointFile,
  checkpointFolder,
  type FindOptions,
  listCheckpoints,
  newestCheckpoint,
  readCheckpoint,
} from "./checkpoint-files.js";
import { type JsonLines, type LineFileSystem, openJsonLines, parseLines } from "./json-lines.js";
import { takeLock } from "./process-lock.js";
import { systemCode, writeError } from "./system-errors.js";

export interface RunOptions {
  /** Checkpoints to keep besides the best one, at least 2. Default 2. */
  readonly keep?: number | undefined;
  readonly onSkipped?: FindOptions["onSkipped"];
  /** Hears of each line of the metrics as it is written. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** For tests: what stands for the disk, and for the clock (in milliseconds). */
  readonly files?: FileSystem | undefined;
  readonly lineFiles?: LineFileSystem | undefined;
  readonly now?: (() => number) | undefined;
}

export interface NewRun extends RunOptions {
  /** JSON. */
  readonly config: object;
  /** JSON: versions, machine, data. */
  readonly environment?: object | undefined;
  /** The part of the configuration that a checkpoint is bound to. Default: all of it. */
  readonly identity?: ((config: Readonly<Record<string, unknown>>) => unknown) | undefined;
}

export interface RunFolder {
  readonly path: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** SHA-256 of the configuration's identity. */
  readonly configHash: string;
  /** Adds a line to the metrics, with `time`: seconds of the run so far, those before a resume included. @throws TrainingError (run-write) */
  event(event: RunEvent): void;
  /** All lines of the metrics. @throws TrainingError (run-corrupt) */
  events(): RunEvent[];
  /**
   * Saves a checkpoint with a `checkpoint` line in the metrics, then removes those that need not be kept.
   *
   * @returns its file, relative to the folder.
   * @throws CheckpointError (checkpoint-write), TrainingError (run-write): the checkpoints before are intact then, and
   * the metrics without the line, unless the new one is there and only not yet safe from a power cut.
   */
  save(checkpoint: Checkpoint, options?: { readonly best?: boolean | undefined }): Promise<string>;
  /**
   * Goes back to the newest checkpoint that is whole, or that of `step`: what lies behind it, metrics and checkpoints, is
   * removed, and a `resume` line written. Without any checkpoint the metrics are emptied.
   *
   * @throws as `newestCheckpoint`; TrainingError (run-config) for a checkpoint of another configuration, unless `force`;
   * nothing is removed then.
   */
  rewind(options?: {
    readonly step?: number | undefined;
    readonly force?: boolean | undefined;
  }): Promise<Checkpoint | undefined>;
  /** The checkpoint that was last saved as the best; undefined if none was, or (`onSkipped` hears of it) it cannot be read. */
  best(): Promise<Checkpoint | undefined>;
  /** `weights.safetensors`. @throws as `saveSafetensors` */
  saveWeights(tensors: NamedTensors, metadata?: Metadata): Promise<void>;
  /** Writes a whole file of the folder, or leaves the old one. @throws CheckpointError (checkpoint-write) */
  writeText(name: string, text: string): Promise<void>;
  writeJson(name: string, value: unknown): Promise<void>;
  /** Gives the lock back. */
  close(): Promise<void>;
}

/** What a run folder keeps in its checkpoints, under `about.run`. */
interface About {
  /** Bytes of metrics.jsonl, the line of this checkpoint included. */
  readonly metrics: number;
  /** Step of the best checkpoint so far. */
  readonly best: number | null;
}

const aboutOf = (checkpoint: Checkpoint): About => {
  const about = checkpoint.about?.["run"] as About | undefined;
  if (!about) throw new CheckpointError("checkpoint-corrupt", "checkpoint: it was not saved by a run folder");
  return about;
};

const sortKeys = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sortKeys(member)]),
  );
};

const hashOf = (value: unknown): string =>
  createHash("sha256")
    .update(JSON.stringify(sortKeys(JSON.parse(JSON.stringify(value ?? null)))))
    .digest("hex");

const configName = "config.json";
const metricsName = "metrics.jsonl";

const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Everything a run folder does once it is locked. */
const enterRunFolder = (
  path: string,
  config: Readonly<Record<string, unknown>>,
  {
    keep = 2,
    onSkipped,
    onEvent,
    files,
    lineFiles,
    now = () => performance.now(),
    identity = (all) => all,
  }: Omit<NewRun, "config">,
  release: () => Promise<void>,
): RunFolder => {
  const metrics: JsonLines = openJsonLines(join(path, metricsName), lineFiles);
  const configHash = hashOf(identity(config));
  let best: number | null = null;
  const timeOfLast = (): number => {
    const time = metrics.read().at(-1)?.["time"];
    return typeof time === "number" ? time : 0;
  };
  let earlier = timeOfLast();
  let opened = now();

  const replace = (name: string, chunks: Iterable<Uint8Array>): Promise<void> =>
    replaceFile(join(path, name), chunks, files);
  const remove = async (file: string): Promise<void> => {
    try {
      await fs.rm(join(path, file), { force: true });
    } catch (error) {
      throw writeError(join(path, file), error);
    }
  };
  const prune = async (): Promise<void> => {
    for (const { step, file } of (await listCheckpoints(path)).slice(keep)) if (step !== best) await remove(file);
  };

  const run: RunFolder = {
    path,
    config,
    configHash,
    event: ({ event, ...rest }) => {
      const time = Math.round(1000 * earlier + (now() - opened)) / 1000;
      const line = { event, time, ...rest };
      metrics.write(line);
      onEvent?.(line);
    },
    events: () => metrics.read() as unknown as RunEvent[],
    save: async (checkpoint, { best: isBest = false } = {}) => {
      const { step } = checkpoint.progress;
      const file = checkpointFile(step);
      const before = metrics.length;
      run.event({ event: "checkpoint", step, file, ...(isBest ? { best: true } : {}) });
      try {
        metrics.sync();
        const about: About = { metrics: metrics.length, best: isBest ? step : best };
        const bytes = await encodeCheckpoint({ ...checkpoint, configHash, about: { ...checkpoint.about, run: about } });
        await replace(file, [bytes]);
        ({ best } = about);
      } catch (error) {
        // If only the very last step failed, flushing the folder, the new file is there and whole: its line stays.
        const there = await readCheckpoint(join(path, file)).then(aboutOf, () => undefined);
        if (there?.metrics === metrics.length) ({ best } = there);
        else {
          // The first error is the one to report.
          try {
            metrics.truncate(before);
          } catch {}
        }
        throw error;
      }
      await prune();
      return file;
    },
    rewind: async ({ step, force = false } = {}) => {
      const found = await newestCheckpoint(path, {
        step,
        onSkipped,
        accept: (checkpoint) => {
          if (aboutOf(checkpoint).metrics > metrics.length)
            throw new CheckpointError("checkpoint-corrupt", "checkpoint: the metrics that belong to it are gone");
        },
      });
      if (found && !force && found.checkpoint.configHash !== configHash)
        throw new TrainingError(
          "run-config",
          `${join(path, found.file)} belongs to another configuration than ${join(path, configName)} describes`,
        );
      for (const entry of await listCheckpoints(path)) if (entry.step > (found?.step ?? -1)) await remove(entry.file);
      metrics.truncate(found ? aboutOf(found.checkpoint).metrics : 0);
      best = found ? aboutOf(found.checkpoint).best : null;
      earlier = timeOfLast();
      opened = now();
      if (found) run.event({ event: "resume", step: found.step });
      return found?.checkpoint;
    },
    best: async () => {
      if (best === null) return undefined;
      const file = checkpointFile(best);
      try {
        return await readCheckpoint(join(path, file));
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        onSkipped?.(file, error);
        return undefined;
      }
    },
    saveWeights: async (tensors, metadata) =>
      replace("weights.safetensors", safetensorsChunks(await tensorsToHost(tensors), metadata)),
    writeText: (name, text) => replace(name, [new TextEncoder().encode(text)]),
    writeJson: (name, value) => run.writeText(name, jsonText(value)),
    close: async () => {
      metrics.close();
      await release();
    },
  };
  return run;
};

const expectKeep = (keep = 2): void => {
  if (!(Number.isSafeInteger(keep) && keep >= 2))
    throw new ArgumentError(`run folder: keep is ${keep}, expected a whole number of at least 2`);
};

const makeFolder = async (path: string): Promise<void> => {
  try {
    await fs.mkdir(path, { recursive: true });
  } catch (error) {
    throw writeError(path, error);
  }
};

const exists = async (path: string): Promise<boolean> =>
  fs.access(path).then(
    () => true,
    () => false,
  );

/** `enter` with the folder locked; the lock is given back if it throws. */
const locked = async (
  path: string,
  enter: (release: () => Promise<void>) => Promise<RunFolder>,
): Promise<RunFolder> => {
  const release = await takeLock(join(path, "lock"));
  try {
    return await enter(release);
  } catch (error) {
    await release();
    throw error;
  }
};

/**
 * Makes a run folder and the folders above it, and locks it.
 *
 * @throws TrainingError `run-exists` where one is, `run-locked`, `run-write`; CheckpointError (checkpoint-write);
 * ArgumentError for a bad `keep`
 */
export const createRunFolder = async (path: string, options: NewRun): Promise<RunFolder> => {
  expectKeep(options.keep);
  await makeFolder(path);
  return locked(path, async (release) => {
    if (await exists(join(path, configName)))
      throw new TrainingError("run-exists", `${path} has a run already; resume it, or take another folder`);
    const before = new Set(await fs.readdir(path));
    const config = JSON.parse(JSON.stringify(options.config)) as Record<string, unknown>;
    const run = enterRunFolder(path, config, options, release);
    try {
      await removeTemporaries(path);
      await makeFolder(checkpointFolder(path));
      if (options.environment) await run.writeJson("environment.json", options.environment);
      // Last, because it makes the folder a run.
      await run.writeJson(configName, config);
      return run;
    } catch (error) {
      await run.close();
      // The folder can be taken for another try.
      for (const name of await fs.readdir(path))
        if (!before.has(name)) await fs.rm(join(path, name), { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  });
};

/**
 * Opens the folder of a run, and locks it. What a killed process left unfinished is swept away.
 *
 * @throws TrainingError `run-missing`, `run-locked`, `run-corrupt`, `run-write`; CheckpointError (checkpoint-write);
 * ArgumentError for a bad `keep`
 */
export const openRunFolder = async (
  path: string,
  options: RunOptions & Pick<NewRun, "identity"> = {},
): Promise<RunFolder> => {
  expectKeep(options.keep);
  const read = async (): Promise<string> => {
    try {
      return await fs.readFile(join(path, configName), "utf8");
    } catch (error) {
      throw new TrainingError("run-missing", `${path} is no run folder: ${(error as Error).message}`, { cause: error });
    }
  };
  await read();
  return locked(path, async (release) => {
    let config: unknown;
    try {
      config = JSON.parse(await read());
    } catch (error) {
      if (error instanceof TrainingError) throw error;
      throw new TrainingError("run-corrupt", `${join(path, configName)} is no JSON`, { cause: error });
    }
    if (typeof config !== "object" || config === null || Array.isArray(config))
      throw new TrainingError("run-corrupt", `${join(path, configName)} is no JSON object`);
    await makeFolder(checkpointFolder(path));
    for (const folder of [path, checkpointFolder(path)]) await removeTemporaries(folder);
    return enterRunFolder(path, config as Record<string, unknown>, options, release);
  });
};

/**
 * Opens the run in a folder, or makes it: what a program does that shall go on where it was, whenever it is started.
 *
 * @throws TrainingError (run-config) where the run in the folder has another configuration; as `createRunFolder` and
 * `openRunFolder`
 */
export const openOrCreateRunFolder = async (path: string, options: NewRun): Promise<RunFolder> => {
  if (!(await exists(join(path, configName)))) return createRunFolder(path, options);
  const run = await openRunFolder(path, options);
  const { config, identity = (all) => all } = options;
  if (run.configHash === hashOf(identity({ ...config }))) return run;
  await run.close();
  throw new TrainingError("run-config", `${join(path, configName)} is not the configuration that is given`);
};

/**
 * The lines of a run's metrics, also while it runs. None where there are none.
 *
 * @throws TrainingError (run-corrupt, run-missing)
 */
export const readMetrics = async (run: string): Promise<RunEvent[]> => {
  const path = join(run, metricsName);
  try {
    return parseLines(path, await fs.readFile(path)) as unknown as RunEvent[];
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    if (error instanceof TrainingError) throw error;
    throw new TrainingError("run-missing", `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
};
