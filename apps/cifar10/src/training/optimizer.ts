import type { Tensor } from "@striate/core";
import type { Module } from "@striate/nn";
import {
  adadelta,
  adadeltaRule,
  adagrad,
  adagradRule,
  adam,
  adamRule,
  adamw,
  adamwRule,
  mixedOptimizer,
  muonRule,
  type Optimizer,
  rmsprop,
  rmspropRule,
  sgd,
  sgdRule,
} from "@striate/optim";
import { ConfigError } from "../config/resolve.js";
import type { OptimizerConfig, PlainOptimizerConfig } from "../config/schema.js";

const makers = { sgd, adam, adamw, rmsprop, adagrad, adadelta } as const;

const rules = {
  sgd: sgdRule,
  adam: adamRule,
  adamw: adamwRule,
  rmsprop: rmspropRule,
  adagrad: adagradRule,
  adadelta: adadeltaRule,
} as const;

interface Group {
  readonly params: readonly Tensor[];
  readonly lr: number;
  readonly weightDecay: number;
}

type Named = readonly (readonly [name: string, parameter: Tensor])[];

/** Rate and decay as the rule wants them. */
const inPlainUnits = (
  config: PlainOptimizerConfig,
  { lrFactor = 1, weightDecay = config.weightDecay }: { lrFactor?: number; weightDecay?: number | undefined },
  batchSize: number,
): { lr: number; weightDecay: number } => {
  if (config.name !== "sgd" || config.units === "plain") return { lr: lrFactor * config.lr, weightDecay };
  const kilostep = 1024 * (1 + 1 / (1 - config.momentum));
  const lr = lrFactor * (config.lr / kilostep);
  // A step takes decay off whatever the rate, and the rule multiplies it by the rate.
  return { lr, weightDecay: (weightDecay * batchSize) / kilostep / lr };
};

/** Those that the config names, in its order, then the rest. @throws ConfigError for a group without parameters */
const groupsOf = (named: Named, config: PlainOptimizerConfig, batchSize: number): Group[] => {
  const chosen = config.groups.map(({ match }) => new RegExp(match));
  const groupOf = (name: string): number => {
    const found = chosen.findIndex((pattern) => pattern.test(name));
    return found === -1 ? chosen.length : found;
  };
  return [...config.groups, {}].flatMap((options, i) => {
    const params = named.flatMap(([name, parameter]) => (groupOf(name) === i ? [parameter] : []));
    if (params.length === 0 && i < chosen.length)
      throw new ConfigError(
        `optimizer.groups.${i}.match: no parameter matches ${chosen[i]}, or an earlier group has it`,
      );
    return params.length === 0 ? [] : [{ params, ...inPlainUnits(config, options, batchSize) }];
  });
};

const without = (options: object, keys: readonly string[]): object =>
  Object.fromEntries(Object.entries(options).filter(([key]) => !keys.includes(key)));

/** What the rule takes besides the rate and decay of a group. */
const hyperOf = (config: PlainOptimizerConfig): object =>
  without(config, ["name", "groups", "lr", "weightDecay", "units"]);

/**
 * The optimizer of a network, rates at their highest.
 * @throws ConfigError where the groups do not fit the network
 */
export const optimizerOf = (
  net: Pick<Module, "namedParameters">,
  config: OptimizerConfig,
  batchSize: number,
): Optimizer => {
  const named = [...net.namedParameters()];
  if (config.name !== "muon") {
    const make = makers[config.name] as unknown as (groups: readonly Group[], options: object) => Optimizer;
    return make(groupsOf(named, config, batchSize), hyperOf(config));
  }
  const { match, rest } = config;
  const chosen = match === undefined ? undefined : new RegExp(match);
  const isFilter = ([name, { shape }]: Named[number]): boolean =>
    shape.length >= 2 && (chosen === undefined ? shape.length === 4 : chosen.test(name));
  const filters = named.filter(isFilter).map(([, parameter]) => parameter);
  if (filters.length === 0) throw new ConfigError("optimizer.match: muon has no filters in this network");
  const others = groupsOf(
    named.filter((entry) => !isFilter(entry)),
    rest,
    batchSize,
  );
  return mixedOptimizer([
    { rule: muonRule, params: filters, ...without(config, ["name", "match", "rest"]) },
    ...others.map((group) => ({ rule: rules[rest.name], ...group, ...hyperOf(rest) })),
  ] as never) as Optimizer;
};
