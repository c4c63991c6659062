/** What a checkpoint is bound to, and the commands that lead back to it. */
import { ConfigError } from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import { RunError, runConfig } from "../runs.js";

/** What makes steps depend on how many there will be, if anything: a longer run is another one from its first step on then. */
const laidOverAll = ({ schedule, lookahead }: Pick<Config, "schedule" | "lookahead">): string | undefined => {
  const free = schedule.name === "plateau" || (schedule.name === "constant" && schedule.warmup === 0);
  if (!free) return `schedule ${schedule.name}`;
  return lookahead !== null && lookahead.power > 0 ? "lookahead" : undefined;
};

/** All of the config that the weights so far depend on. */
export const identityOf = (config: Config): unknown => {
  const { preset: _, backend: __, maxTime: ___, checkpoint: ____, views: _____, data, epochs, ...rest } = config;
  return {
    ...rest,
    data: { source: data.source, validation: data.validation },
    ...(laidOverAll(config) !== undefined && { epochs }),
  };
};

/** What of `config` would make another run of it than of `before`. */
const changesOf = (config: Config, before: Config): string[] => {
  const [now, then] = [identityOf(config), identityOf(before)] as Record<string, unknown>[];
  return (
    Object.keys({ ...then, ...now })
      .filter((key) => JSON.stringify(now?.[key]) !== JSON.stringify(then?.[key]))
      // Another schedule may have brought them in.
      .filter((key) => key !== "epochs" || config.epochs !== before.epochs)
  );
};

/** @throws ConfigError if a run cannot go on by `config`, because another would come of it */
export const expectSameRun = (config: Config, before: Config): void => {
  const changed = changesOf(config, before);
  if (changed.length > 0) {
    const why = changed.includes("epochs")
      ? ` (its ${laidOverAll(before) ?? laidOverAll(config)} is laid over all of them)`
      : "";
    throw new ConfigError(
      `--resume goes on with the run as it is; ${changed.join(", ")} cannot be changed${why}. Start a new run for that.`,
    );
  }
  if (config.epochs < before.epochs)
    throw new ConfigError(`--resume: epochs is ${config.epochs}, but the run is one of ${before.epochs}`);
};

/** @throws RunError if `run`, in a group that the command is to go on with, is another than it would make */
export const expectSameMember = (run: string, config: Config): void => {
  const before = runConfig(run);
  const changed = changesOf(config, before);
  if (config.epochs !== before.epochs && !changed.includes("epochs")) changed.push("epochs");
  if (changed.length > 0)
    throw new RunError(`${run} is a run with another ${changed.join(", ")}; other runs want a folder of their own`);
};

/** Whether `config` lets a run that has come to its end go on. */
export const isLonger = (config: Config, before: Config): boolean =>
  config.epochs > before.epochs ||
  (config.maxTime ?? Number.POSITIVE_INFINITY) > (before.maxTime ?? Number.POSITIVE_INFINITY);

/** What would let it go on, for people. */
export const longerHint = ({ ended }: { readonly ended: string }, config: Config): string => {
  if (ended === "stopped" && config.maxTime !== null) return "to go on: --resume with a longer --max-time";
  const laid = laidOverAll(config);
  return laid === undefined
    ? `to go on: --resume with more --epochs than ${config.epochs}`
    : `its ${laid} is laid over its epochs; a longer run is a new one: --config with its config.json, and --epochs`;
};

const quoted = (text: string): string => (/^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export const resumeCommand = (run: string): string => `npm run cifar10 -- train --resume ${quoted(run)}`;
