import { readFileSync } from "node:fs";
import { nearestName } from "@striate/backends";
import type { z } from "zod";
import { type ConfigFlag, configFlags, longName, variableName } from "./flags.js";
import { at, isObject, type Json, type JsonObject, merge } from "./merge.js";
import { plain, presetNames, presets } from "./presets.js";
import { type Config, configSchema } from "./schema.js";

/** The config, or what it was to be made from, is wrong. */
export class ConfigError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConfigError";
  }
}

/** A value that a flag or a variable gives, and the name to blame it by. */
export interface Setting {
  readonly by: string;
  readonly path: readonly string[];
  readonly value: Json;
}

/** From lowest to highest: the preset, a file, the environment, flags. */
export interface Sources {
  readonly file?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly flags?: readonly Setting[];
  /** Of the command line; before what environment and file name. */
  readonly preset?: string | undefined;
}

/** Where in the config an issue lies: the keys that should not be there are below its path. */
const placesOf = (issue: z.core.$ZodIssue): string[][] => {
  const path = issue.path.map(String);
  return issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...path, key]) : [path];
};

const startsWith = (path: readonly string[], beginning: readonly string[]): boolean =>
  beginning.every((key, i) => path[i] === key);

type Blame = (place: readonly string[]) => string;

/** @throws ConfigError that names where each wrong value comes from. */
const check = (value: Json, blame: Blame): Config => {
  const result = configSchema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const [place = []] = placesOf(issue);
    const path = issue.path.join(".");
    return `${blame(place)}${path === "" ? "" : `: ${path}`}: ${issue.message}`;
  });
  throw new ConfigError(problems.join("\n"));
};

const blameSettings =
  (settings: readonly Setting[]): Blame =>
  (place) => {
    const found =
      settings.find(({ path }) => path.join() === place.join()) ??
      settings.find(({ path }) => startsWith(path, place) || startsWith(place, path)) ??
      // A value that a change of names has made necessary.
      settings.find(({ path }) => path[0] === place[0]);
    return found?.by ?? settings.map(({ by }) => by).join(", ");
  };

const layOver = (config: Json, settings: readonly Setting[]): Json =>
  // Names first: they replace what the others then change.
  [...settings]
    .sort((a, b) => Number(b.path.at(-1) === "name") - Number(a.path.at(-1) === "name"))
    .reduce((below, { path, value }) => merge(below, at(path, value)), config);

/** @throws ConfigError */
export const readConfigFile = (file: string): JsonObject => {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(`--config ${file}: ${(error as Error).message}`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`--config ${file}: not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!isObject(value)) throw new ConfigError(`--config ${file}: expected an object`);
  return value;
};

/** Variables of the environment that are meant for others. */
const foreign: ReadonlySet<string> = new Set([
  "STRIATE_CHROMIUM",
  "STRIATE_FULL",
  "STRIATE_PYTHON",
  "STRIATE_REQUIRE_WEBGPU",
  "STRIATE_VECTORS",
]);

const presetVariable = "STRIATE_PRESET";

const readVariable = (flag: ConfigFlag, text: string): Json => {
  const name = variableName(flag);
  if (flag.read === undefined) {
    if (text === "1" || text === "true") return flag.value as Json;
    throw new ConfigError(`${name} is ${JSON.stringify(text)}, expected 1 or true, or not to be set`);
  }
  try {
    return flag.read(text);
  } catch (error) {
    throw new ConfigError(`${name} is ${JSON.stringify(text)}. ${(error as Error).message}`);
  }
};

/** @throws ConfigError for a value that cannot be read, and for a name that is nearly one of ours. */
export const settingsFromEnvironment = (env: Readonly<Record<string, string | undefined>>): Setting[] => {
  const names = configFlags.map(variableName);
  for (const name of Object.keys(env)) {
    if (!name.startsWith("STRIATE_") || foreign.has(name) || name === presetVariable || names.includes(name)) continue;
    const nearest = nearestName(
      name.slice(8),
      [...names, presetVariable].map((known) => known.slice(8)),
    );
    if (nearest !== undefined) throw new ConfigError(`there is no ${name}; did you mean STRIATE_${nearest}?`);
  }
  return configFlags.flatMap((flag) => {
    const name = variableName(flag);
    const text = env[name];
    if (text === undefined || text === "") return [];
    return [{ by: name, path: flag.path, value: readVariable(flag, text) }];
  });
};

const expectPreset = (by: string, name: unknown): string => {
  if (typeof name === "string" && presetNames.includes(name)) return name;
  const nearest = typeof name === "string" ? nearestName(name, presetNames) : undefined;
  throw new ConfigError(
    `${by}: there is no preset ${JSON.stringify(name)}${nearest === undefined ? "" : `; did you mean ${nearest}?`}; ` +
      `the presets are ${presetNames.join(", ")}`,
  );
};

/** A network without a preset is trained by its own, or by the plain one; nothing at all is `fast70`. */
const presetOf = (
  { preset, env = {}, flags = [] }: Sources,
  file: JsonObject,
  variables: readonly Setting[],
): string => {
  if (preset !== undefined) return expectPreset("--preset", preset);
  if (env[presetVariable]) return expectPreset(presetVariable, env[presetVariable]);
  if (Object.hasOwn(file, "preset")) return expectPreset("--config: preset", file["preset"]);
  const inFile = isObject(file["network"]) ? file["network"]["name"] : undefined;
  const network = [...variables, ...flags].findLast(({ path }) => path.join(".") === "network.name")?.value ?? inFile;
  if (typeof network === "string") return presetNames.includes(network) ? network : "plain";
  return Object.keys(file).length > 0 ? "plain" : "fast70";
};

/** What the values mean together. @throws ConfigError */
const expectConsistent = (config: Config): void => {
  const { data, schedule, batchSize, accumulate, optimizer } = config;
  const selecting = selectionOf(config);
  if (selecting !== undefined && data.validation === 0)
    throw new ConfigError(`data.validation is 0, but ${selecting} needs images held out`);
  if (data.source === "synthetic" && data.folder !== null)
    throw new ConfigError("data: synthetic images come from no folder; --synthetic and --data exclude each other");
  if (accumulate > batchSize)
    throw new ConfigError(`accumulate is ${accumulate}, more than the ${batchSize} images of a step`);
  const sgds = optimizer.name === "muon" ? [optimizer.rest] : [optimizer];
  for (const o of sgds)
    if (o.name === "sgd" && o.nesterov && (o.momentum === 0 || o.dampening !== 0))
      throw new ConfigError("optimizer: nesterov needs a momentum above 0 and no dampening");
  if (schedule.name === "piecewiseLinear")
    schedule.points.forEach(([share], i) => {
      if (i > 0 && share <= (schedule.points[i - 1] as readonly number[])[0]!)
        throw new ConfigError(`schedule.points: the shares must increase, but ${share} is at place ${i}`);
    });
};

/** Whether the run comes to the weights that were best on validation. */
export const keepsBest = ({ select, earlyStopping }: Pick<Config, "select" | "earlyStopping">): boolean =>
  select === "best" || (select === null && earlyStopping !== null);

/** What is chosen by the images held out, for people; undefined if nothing is. */
export const selectionOf = ({ select, earlyStopping, schedule }: Config): string | undefined => {
  if (select === "best") return "selecting the best weights";
  if (earlyStopping !== null) return "early stopping";
  return schedule.name === "plateau" ? "the plateau schedule" : undefined;
};

/** Images held out where something is selected by them. */
const defaultValidation = 5000;

export const validationImages = (config: Config): number =>
  config.data.validation ?? (selectionOf(config) === undefined ? 0 : defaultValidation);

/** A config changed by single settings. @throws ConfigError that names the one to blame */
export const overlay = (config: Config, settings: readonly Setting[]): Config => {
  if (settings.length === 0) return config;
  const changed = check(layOver(config as unknown as Json, settings), blameSettings(settings));
  expectConsistent(changed);
  return changed;
};

/** Lays the sources over each other. @throws ConfigError that names the source of each wrong value. */
export const resolveConfig = (sources: Sources = {}): Config => {
  const { file, env = {}, flags = [] } = sources;
  const variables = settingsFromEnvironment(env);
  const fromFile = file === undefined ? {} : readConfigFile(file);
  const preset = presetOf(sources, fromFile, variables);
  const base = merge(merge(plain, presets[preset as keyof typeof presets].config), { preset });
  let config = check(base, () => `preset ${preset}`);
  // Checked layer by layer, so that the one to blame is known.
  if (file !== undefined) config = check(merge(config as Json, { ...fromFile, preset }), () => `--config ${file}`);
  for (const settings of [variables, flags])
    if (settings.length > 0) config = check(layOver(config as Json, settings), blameSettings(settings));
  expectConsistent(config);
  return config;
};

/** `optimizer.nesterov=true` as a setting: a value in JSON, or else a text. @throws ConfigError */
export const settingFromAssignment = (assignment: string): Setting => {
  const split = assignment.indexOf("=");
  const path = assignment.slice(0, split).split(".");
  if (split < 1 || path.some((key) => key === ""))
    throw new ConfigError(`--set ${assignment}: expected path=value, for instance optimizer.nesterov=true`);
  const given = assignment.slice(split + 1);
  let value: Json;
  try {
    value = JSON.parse(given) as Json;
  } catch {
    value = given;
  }
  return { by: `--set ${assignment}`, path, value };
};

/** What flags of a command line come to; `given` has commander's values by their attribute names. */
export const settingsFromFlags = (given: Readonly<Record<string, unknown>>): Setting[] =>
  configFlags.flatMap((flag) => {
    const name = longName(flag);
    const attribute = name.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const value = given[attribute];
    if (value === undefined) return [];
    return [{ by: name, path: flag.path, value: flag.read === undefined ? (flag.value as Json) : (value as Json) }];
  });
