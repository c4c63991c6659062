import { add, relu, StriateError, type Tensor } from "@striate/core";
import type { Backend } from "@striate/core/backend";
import type { Case, Context } from "../case.js";
import { demandUsage, disposeAll, inputsOf, upload, usageOf } from "../evaluate.js";
import { check } from "../failure.js";
import { instrument } from "../instrument.js";
import type { ErrorSample, InputSpec } from "../suite.js";
import { opTable } from "./samples.js";

type Specs = Readonly<Record<string, InputSpec>>;

interface Refusal {
  readonly code: StriateError["code"];
  readonly inputs: Specs;
  /** The error may come at the next read instead: the backend alone knows the values. */
  readonly deferred: boolean;
  /** Where each input lives; the backend under test unless said otherwise. */
  place?(name: string): Backend | undefined;
  prepare?(tensors: Readonly<Record<string, Tensor>>): void;
  run(tensors: Readonly<Record<string, Tensor>>): readonly Tensor[];
}

const describe = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);

/** @throws ConformanceFailure unless the call is refused as it should be. */
const demandRefusal = async (id: string, refusal: Refusal, { backend, instrumented }: Context): Promise<void> => {
  const before = usageOf(backend);
  const values = inputsOf(refusal.inputs, id, "float32");
  const inputs = Object.assign(
    {},
    ...Object.keys(values).map((name) =>
      upload(
        { [name]: values[name] as (typeof values)[string] },
        refusal.inputs,
        "float32",
        refusal.place?.(name) ?? backend,
      ),
    ),
  ) as Record<string, Tensor>;
  refusal.prepare?.(inputs);
  instrumented.reset();
  let thrown: unknown;
  let outputs: readonly Tensor[] = [];
  try {
    outputs = refusal.run(inputs);
  } catch (error) {
    thrown = error;
  }
  const ran = [...instrumented.called];
  if (thrown === undefined && refusal.deferred)
    try {
      await Promise.all(outputs.map((t) => t.data()));
    } catch (error) {
      thrown = error;
    }
  disposeAll(outputs);
  disposeAll(Object.values(inputs));
  check(thrown !== undefined, `nothing was thrown, expected a StriateError with the code "${refusal.code}"`);
  check(
    thrown instanceof StriateError && thrown.code === refusal.code,
    () => `threw ${describe(thrown)}; expected a StriateError with the code "${refusal.code}"`,
  );
  check(refusal.deferred || ran.length === 0, () => `kernels ran before the error: ${ran.join(", ")}`);
  demandUsage(before, usageOf(backend));
};

const refusalCase = (op: string, name: string, refusal: Refusal): Case => {
  const id = `errors:${op}/${name}`;
  return {
    id,
    group: "errors",
    op,
    dtype: "float32",
    column: "errors",
    run: async (context) => {
      await demandRefusal(id, refusal, context);
      return undefined;
    },
  };
};

const declared = (op: string, { name, ...sample }: ErrorSample): Case => refusalCase(op, name, sample);

/** What every op must refuse: a tensor that was disposed, and tensors of two backends. */
const common = (op: string): Case[] => {
  const sample = opTable[op]?.samples.find((s) => s.dtypes.includes("float32")) ?? opTable[op]?.samples[0];
  if (!sample) return [];
  const dtype = sample.dtypes.includes("float32") ? "float32" : (sample.dtypes[0] as InputSpec["dtype"]);
  const inputs: Specs = Object.fromEntries(
    Object.entries(sample.inputs).map(([name, spec]) => [name, spec.dtype === "sample" ? { ...spec, dtype } : spec]),
  );
  const names = Object.keys(inputs);
  const run = (tensors: Readonly<Record<string, Tensor>>): readonly Tensor[] => sample.run(tensors);
  const disposed = names.map((name) =>
    refusalCase(op, `disposed-${name}`, {
      code: "disposed",
      inputs,
      deferred: false,
      prepare: (tensors) => tensors[name]?.dispose(),
      run,
    }),
  );
  const foreign = names.slice(1).map((name): Case => {
    const id = `errors:${op}/foreign-${name}`;
    return {
      id,
      group: "errors",
      op,
      dtype: "float32",
      column: "errors",
      run: async (context) => {
        // The same device behind another backend value is foreign too.
        const other = instrument(context.backend).backend;
        const place = (input: string): Backend | undefined => (input === name ? other : undefined);
        await demandRefusal(id, { code: "argument", inputs, deferred: false, place, run }, context);
        return undefined;
      },
    };
  });
  return [...disposed, ...foreign];
};

const read: Case = {
  id: "errors:tensor/read-after-dispose",
  group: "errors",
  run: async ({ backend }) => {
    const [x] = Object.values(
      upload(
        { x: { shape: [2], data: Float64Array.of(1, 2) } },
        { x: { shape: [2], generator: { kind: "ramp" }, dtype: "float32", differentiated: false } },
        "float32",
        backend,
      ),
    ) as [Tensor];
    const y = relu(x);
    x.dispose();
    const refused = await x.data().then(
      () => undefined,
      (error: unknown) => error,
    );
    check(
      refused instanceof StriateError && refused.code === "disposed",
      `data() after dispose() gave ${describe(refused)}`,
    );
    const z = add(y, y);
    y.dispose();
    disposeAll([z]);
    return undefined;
  },
};

export const errorCases = (): Case[] => [
  read,
  ...Object.entries(opTable).flatMap(([op, table]) => [
    ...table.errors.map((sample) => declared(op, sample)),
    ...common(op),
  ]),
];
