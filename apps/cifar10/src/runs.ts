/** Where runs are, and what is in them that several commands read. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { isObject, type JsonObject } from "./config/merge.js";
import { type Config, configSchema } from "./config/schema.js";
import { statOf } from "./data-files.js";

/** A run that is not there, or not in a state to be used. */
export class RunError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RunError";
  }
}

/** Where runs go that were given no folder. */
export const runsFolder = "runs";

const isFolder = (path: string): boolean => statOf(path)?.isDirectory() ?? false;

/** Whether it is the folder of a run. */
export const isRun = (path: string): boolean => statOf(join(path, "config.json"))?.isFile() ?? false;

/** `20261121-101500-fast70-wasm-seed0`: in the order of time when sorted. */
export const runName = (started: Date, { preset, seed }: Pick<Config, "preset" | "seed">, backend: string): string => {
  const time = started.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  return `${time}-${preset}-${backend.replaceAll(":", "-")}-seed${seed}`;
};

export const environmentName = "environment.json";

/** What a run ran on, as far as that can be read. */
export const readEnvironment = (run: string): JsonObject => {
  try {
    const environment: unknown = JSON.parse(readFileSync(join(run, environmentName), "utf8"));
    return isObject(environment) ? environment : {};
  } catch {
    return {};
  }
};

/** The folders of runs in a folder. */
const runsIn = (folder: string): string[] =>
  isFolder(folder)
    ? readdirSync(folder)
        .sort()
        .map((name) => join(folder, name))
        .filter(isRun)
    : [];

/** The run that was started last, of those that are more than a test of every stage. @throws RunError */
export const newestRun = (folder = runsFolder): string => {
  const [newest] = runsIn(folder)
    .map((run) => ({ run, environment: readEnvironment(run) }))
    .filter(({ environment }) => environment["fastDevRun"] !== true)
    // Names tell the time only of runs that were given none.
    .map(({ run, environment }) => ({
      run,
      at: Date.parse(`${environment["startedAt"]}`) || (statOf(join(run, "config.json"))?.mtimeMs ?? 0),
    }))
    .sort((a, b) => b.at - a.at);
  if (!newest) throw new RunError(`there is no run in ${folder}; name its folder`);
  return newest.run;
};

/** The folder of a run: as given, or of that name below `runs`; the newest for undefined. @throws RunError */
export const findRun = (given: string | undefined): string => {
  if (given === undefined) return newestRun();
  for (const path of [given, join(runsFolder, given)]) if (isRun(path)) return path;
  throw new RunError(`${given} is not the folder of a run: there is no config.json in it`);
};

/** As `findRun`, or the runs in the folder: those of `--seeds`, of an experiment. @throws RunError */
export const findRuns = (given: string): string[] => {
  const inside = isRun(given) ? [] : runsIn(given);
  return inside.length > 0 ? inside : [findRun(given)];
};

/** As `findRun`, for a run that may be gone on with. @throws RunError */
export const findRunToResume = (given: string | undefined): string => {
  const run = findRun(given);
  if (readEnvironment(run)["fastDevRun"] === true)
    throw new RunError(`${run} was a --fast-dev-run: its few batches are nothing to go on with`);
  return run;
};

/** The config that a run was made by. @throws RunError */
export const runConfig = (run: string): Config => {
  const file = join(run, "config.json");
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new RunError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const { data, error } = configSchema.safeParse(value);
  if (data) return data;
  const [{ path, message }, ...more] = error.issues as [z.core.$ZodIssue, ...z.core.$ZodIssue[]];
  const place = path.length > 0 ? `${path.join(".")}: ` : "";
  const others = more.length > 0 ? `, and ${more.length} more` : "";
  throw new RunError(`${file} is no config of a run: ${place}${message}${others}`, { cause: error });
};
