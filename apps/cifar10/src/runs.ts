/** Where runs are, and what is in them that several commands read. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { type Config, configSchema } from "./config/schema.js";

/** A run that is not there, or not in a state to be used. */
export class RunError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RunError";
  }
}

/** Where runs go that were given no folder. */
export const runsFolder = "runs";

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

const isRun = (path: string): boolean =>
  statSync(join(path, "config.json"), { throwIfNoEntry: false })?.isFile() ?? false;

/** `20261121-101500-fast70-wasm-seed0`: in the order of time when sorted. */
export const runName = (started: Date, { preset, seed }: Pick<Config, "preset" | "seed">, backend: string): string => {
  const time = started.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  return `${time}-${preset}-${backend.replaceAll(":", "-")}-seed${seed}`;
};

/** The run that was started last. @throws RunError */
export const newestRun = (folder = runsFolder): string => {
  const names = isFolder(folder) ? readdirSync(folder).filter((name) => isRun(join(folder, name))) : [];
  const newest = names.sort().at(-1);
  if (newest === undefined) throw new RunError(`there is no run in ${folder}; name its folder`);
  return join(folder, newest);
};

/** The folder of a run: as given, or of that name below `runs`; the newest for undefined. @throws RunError */
export const findRun = (given: string | undefined): string => {
  if (given === undefined) return newestRun();
  for (const path of [given, join(runsFolder, given)]) if (isRun(path)) return path;
  throw new RunError(`${given} is not the folder of a run: there is no config.json in it`);
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
