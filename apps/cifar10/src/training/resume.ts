/** What a checkpoint is bound to, and the commands that lead back to it. */
import { ConfigError } from "../config/resolve.js";
import type { Config } from "../config/schema.js";

/** All of the config that the weights depend on. */
export const identityOf = (config: Config): unknown => {
  const { preset: _, backend: __, maxTime: ___, checkpoint: ____, views: _____, data, ...rest } = config;
  return { ...rest, data: { source: data.source, validation: data.validation } };
};

/** @throws ConfigError if a run cannot go on by `config`, because another would come of it */
export const expectSameRun = (config: Config, before: Config): void => {
  const [now, then] = [identityOf(config), identityOf(before)] as Record<string, unknown>[];
  const changed = Object.keys({ ...then, ...now }).filter(
    (key) => JSON.stringify(now?.[key]) !== JSON.stringify(then?.[key]),
  );
  if (changed.length > 0)
    throw new ConfigError(
      `--resume goes on with the run as it is; ${changed.join(", ")} cannot be changed. Start a new run for that.`,
    );
};

const quoted = (text: string): string => (/^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export const resumeCommand = (run: string): string => `npm run cifar10 -- train --resume ${quoted(run)}`;
