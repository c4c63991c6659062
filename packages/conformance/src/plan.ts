import type { Capabilities } from "@striate/core/backend";
import type { Case } from "./case.js";
import { closingCase, contractCases } from "./groups/contract.js";
import { errorCases } from "./groups/errors.js";
import { type ModelOptions, modelCases } from "./groups/models.js";
import { randomCases } from "./groups/random.js";
import { sampleCases } from "./groups/samples.js";
import { type TrainingOptions, trainingCases } from "./groups/training.js";
import { vectorCases } from "./groups/vectors.js";
import { matcher } from "./match.js";
import { type Group, groups } from "./results.js";
import { inShard, type Shard } from "./shard.js";
import { noVectors, type Vectors } from "./vectors/parse.js";

export interface PlanOptions extends TrainingOptions, ModelOptions {
  /** Golden vectors; `loadVectors` of `@striate/conformance/node` reads them. Default: none. */
  readonly vectors?: Vectors;
  /** Default: all. */
  readonly groups?: readonly Group[];
  /** Only cases whose id matches one of these; see `matcher`. */
  readonly filter?: string | readonly string[];
  /** Only this share of the cases. Default: all. */
  readonly shard?: Shard;
}

/**
 * Everything the suite would run on such a backend, in order: a function of its arguments alone.
 *
 * @throws TypeError for a bad shard.
 */
export const planCases = (caps: Capabilities, kernels: readonly string[], options: PlanOptions = {}): Case[] => {
  const patterns = options.filter === undefined ? [] : [options.filter].flat().map(matcher);
  const wanted = new Set(options.groups ?? groups);
  const isInShard = options.shard ? inShard(options.shard) : () => true;
  const { vectors = noVectors } = options;
  const all = [
    ...contractCases(caps),
    ...sampleCases(caps, kernels),
    ...errorCases(),
    ...randomCases(),
    ...vectorCases(vectors, caps.dtypes),
    ...modelCases(vectors, caps.dtypes, options),
    ...trainingCases(vectors, caps.dtypes, options),
    closingCase,
  ];
  const order = new Map(groups.map((group, i) => [group, i]));
  return all
    .filter(({ id, group }) => wanted.has(group) && (patterns.length === 0 || patterns.some((matches) => matches(id))))
    .filter(({ id }) => isInShard(id))
    .sort(
      (a, b) =>
        Number(a === closingCase) - Number(b === closingCase) ||
        (order.get(a.group) as number) - (order.get(b.group) as number),
    );
};
