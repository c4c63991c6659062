/** The groups that come from the op table: ops, gradients, overrides, leaks. */
import { type Backend, type Capabilities, type DType, isFloat, type OptionalOp } from "@striate/core/backend";
import type { Case, Context } from "../case.js";
import { cases } from "../cases/index.js";
import {
  checkForward,
  checkGradcheck,
  checkGradient,
  checkLeaks,
  type EvaluationOptions,
  type Expectation,
  expectationOf,
} from "../evaluate.js";
import { without } from "../instrument.js";
import { formats } from "../number-format.js";
import type { Column, Group } from "../results.js";
import type { OpCases, Sample, SampleKind } from "../suite.js";

export const opTable: Readonly<Record<string, OpCases>> = cases;

/** One sample in one dtype, with the reference's word on it, worked out once. */
interface Instance {
  readonly op: string;
  readonly sample: Sample;
  readonly dtype: DType;
  /** `conv2d/s2-p1-d2-g4-b#f32` */
  readonly id: string;
  readonly skip?: string;
  expectation(): Expectation;
}

const columns: Readonly<Record<SampleKind, Column>> = {
  ordinary: "forward",
  large: "forward",
  special: "special",
  "zero-size": "zeroSize",
};

const hasNaN = (sample: Sample): boolean =>
  Object.values(sample.inputs).some(
    ({ generator }) => generator.kind === "cycle" && generator.values.some(Number.isNaN),
  );

const instancesOf = (op: string, table: OpCases, caps: Capabilities): Instance[] =>
  table.samples.flatMap((sample) =>
    sample.dtypes
      .filter((dtype) => caps.dtypes.has(dtype))
      .map((dtype) => {
        const id = `${op}/${sample.name}#${formats[dtype].tag}`;
        let known: Expectation | undefined;
        // Millions of elements are not kept.
        const expectation = (): Expectation => {
          if (sample.kind === "large") return expectationOf(sample, id, dtype);
          known ??= expectationOf(sample, id, dtype);
          return known;
        };
        const skip =
          caps.nan === "unspecified" && hasNaN(sample) ? "caps.nan: the backend declares NaN unspecified" : undefined;
        return { op, sample, dtype, id, expectation, ...(skip && { skip }) };
      }),
  );

/** One line for all samples of an op in a dtype that the backend does not have. */
const missingDTypes = (op: string, table: OpCases, caps: Capabilities): Case[] =>
  [...new Set(table.samples.flatMap(({ dtypes }) => dtypes))]
    .filter((dtype) => !caps.dtypes.has(dtype))
    .map((dtype) => ({
      id: `ops:${op}/*#${formats[dtype].tag}`,
      group: "ops",
      op,
      dtype,
      column: "forward",
      skip: `caps.dtypes: the backend has no ${dtype}`,
      run: async () => undefined,
    }));

const evaluation = (
  { sample, dtype, expectation }: Instance,
  { backend, precision }: Context,
  on: Backend = backend,
): EvaluationOptions => ({ sample, dtype, expectation: expectation(), backend: on, precision });

const caseOf = (
  group: Group,
  { op, dtype, id, skip }: Instance,
  column: Column,
  run: Case["run"],
  suffix = "",
): Case => ({ id: `${group}:${id}${suffix}`, group, op, dtype, column, run, ...(skip && { skip }) });

const hasGradient = ({ sample, dtype }: Instance): boolean => sample.gradient && isFloat(dtype);

const forwardCase = (instance: Instance): Case =>
  caseOf("ops", instance, columns[instance.sample.kind], (context) => checkForward(evaluation(instance, context)));

const gradientCases = (instance: Instance): Case[] => {
  if (!hasGradient(instance)) return [];
  const compared = caseOf("gradients", instance, "gradient", (context) => checkGradient(evaluation(instance, context)));
  // Ties sit on a kink, where finite differences and the rule disagree by nature.
  if (instance.dtype !== "float64" || instance.sample.referenceGradient) return [compared];
  const self = caseOf(
    "gradients",
    instance,
    "gradient",
    (context) => checkGradcheck(evaluation(instance, context)),
    "/gradcheck",
  );
  return [compared, self];
};

/** Forward and backward with one kernel taken away, for each that the op may use and the backend has. */
const overrideCases = (instance: Instance, kernels: readonly OptionalOp[]): Case[] =>
  instance.sample.kind === "large" || instance.sample.kind === "zero-size"
    ? []
    : kernels.map((kernel) =>
        caseOf(
          "overrides",
          instance,
          "overrides",
          async (context) => {
            const options = evaluation(instance, context, without(context.backend, [kernel]));
            const forward = await checkForward(options);
            if (!hasGradient(instance)) return forward;
            const backward = await checkGradient(options);
            return { ratio: Math.max(forward.ratio, backward.ratio) };
          },
          `/without-${kernel}`,
        ),
      );

const leakCase = (instance: Instance): Case =>
  caseOf("leaks", instance, "leaks", async (context) => {
    await checkLeaks(evaluation(instance, context));
    return undefined;
  });

export const sampleCases = (caps: Capabilities, backendKernels: readonly string[]): Case[] =>
  Object.entries(opTable).flatMap(([op, table]) => {
    const instances = instancesOf(op, table, caps);
    const kernels = table.kernels.filter((kernel) => backendKernels.includes(kernel));
    const once = instances.filter(
      ({ sample, dtype }) => sample.kind !== "large" && dtype === sample.dtypes.find((d) => caps.dtypes.has(d)),
    );
    return [
      ...missingDTypes(op, table, caps),
      ...instances.map(forwardCase),
      ...instances.flatMap(gradientCases),
      ...instances.flatMap((instance) => overrideCases(instance, kernels)),
      ...once.map(leakCase),
    ];
  });
