/** `--preset`, `--config`, `--set` and a flag for each common setting: what makes a config on the command line. */
import { cifar10Classes } from "@striate/data";
import { models } from "@striate/models";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Env, readPath, table } from "../cli.js";
import { configFlags, longName, variableName } from "../config/flags.js";
import { presetNames, presets } from "../config/presets.js";
import {
  ConfigError,
  resolveConfig,
  type Setting,
  settingFromAssignment,
  settingsFromFlags,
} from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import { costOf, layerOf } from "../training/networks.js";

type Given = Readonly<Record<string, unknown>>;

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

const readName = (text: string): string => {
  if (text.trim() === "") throw new InvalidArgumentError("Expected a name.");
  return text;
};

/** Adds the options; `groups` leaves out those of other groups, `without` those that would change nothing. */
export const withConfigOptions = (
  command: Command,
  { groups, without = [] }: { readonly groups?: readonly string[]; readonly without?: readonly string[] } = {},
): Command => {
  command.addOption(
    new Option("--preset <name>", "network and recipe, see below (default: fast70)").argParser(readName),
  );
  command.option("--config <file>", "settings as JSON, for instance RUN/config.json, over the preset's", readPath);
  command.option("--set <path=value>", "any setting of the config: --set optimizer.nesterov=true", collect);
  for (const flag of configFlags) {
    const { flags, group, description, read } = flag;
    if ((groups && !groups.includes(group)) || without.includes(longName(flag))) continue;
    const option = new Option(flags, description).helpGroup(group);
    command.addOption(read === undefined ? option : option.argParser(read));
  }
  return command;
};

/** What flags and `--set` say, in this order. @throws ConfigError */
export const settingsOf = (given: Given): Setting[] => [
  ...settingsFromFlags(given),
  ...((given["set"] as readonly string[] | undefined) ?? []).map(settingFromAssignment),
];

/** @throws ConfigError */
export const configOf = (given: Given, env: Env = {}): Config => {
  const config = resolveConfig({
    preset: given["preset"] as string | undefined,
    file: given["config"] as string | undefined,
    env,
    flags: settingsOf(given),
  });
  const { name } = config.network;
  if (costOf(layerOf(config.network, { classes: cifar10Classes.length })) === undefined)
    throw new ConfigError(
      `the network ${name} is made for images of ${models[name].input.join("x")}: those of CIFAR-10, 3x32x32, are too small for it`,
    );
  return config;
};

const summaryOf = (name: string): string => {
  const { summary, config } = presets[name as keyof typeof presets];
  const { epochs = 10, batchSize = 128, views = 1 } = config;
  return `${summary}; ${epochs} epochs, batch ${batchSize}${views === 1 ? "" : `, ${views} views`}`;
};

export const presetTable = (): string => table(presetNames.map((name) => [name, summaryOf(name)]));

const example = configFlags.find((flag) => longName(flag) === "--batch-size") as (typeof configFlags)[number];

export const configHelp = (): string =>
  `Presets:\n${presetTable()}\n\n` +
  `Options go over variables of the environment (${variableName(example)}=64), these over --config, that over the preset.`;
