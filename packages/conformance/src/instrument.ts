/** Wrappers around a backend under test. */
import {
  type Backend,
  delegate,
  hostArray,
  isFloat,
  type OpName,
  type OptionalOp,
  type Storage,
  sizeOf,
  type TensorSpec,
  wrapKernels,
} from "@striate/core/backend";
import { encode } from "./number-format.js";

export interface Instrumented {
  readonly backend: Backend;
  /** Kernels called since `reset`, required ones included. */
  readonly called: ReadonlySet<OpName>;
  /** Storages that core holds now. */
  readonly live: ReadonlySet<Storage>;
  /** Broken rules of the storage contract, in the order in which they were seen. */
  readonly violations: readonly string[];
  reset(): void;
}

/** What nobody may rely on: NaN in floats, a large odd pattern elsewhere. */
const poison = ({ shape, dtype }: TensorSpec) =>
  isFloat(dtype)
    ? encode(dtype, new Float64Array(sizeOf(shape)).fill(Number.NaN))
    : hostArray(dtype, sizeOf(shape)).fill(dtype === "bool" ? 1 : 171);

/** The same backend with some optional kernels taken out: core decomposes those. */
export const without = (backend: Backend, kernels: readonly OptionalOp[]): Backend => ({
  ...delegate(backend),
  kernels: Object.fromEntries(
    Object.entries(backend.kernels).filter(([name]) => !(kernels as readonly string[]).includes(name)),
  ) as unknown as Backend["kernels"],
});

/**
 * Watches the storage contract and fills every fresh storage with poison, so that a kernel that relies on what `alloc`
 * happens to return is found out.
 */
export const instrument = (backend: Backend): Instrumented => {
  const called = new Set<OpName>();
  const live = new Set<Storage>();
  const violations: string[] = [];
  const base = delegate(backend);
  const inUse = (what: string, storage: Storage): void => {
    if (!live.has(storage)) violations.push(`${what} a storage that is not in use`);
  };
  const watched: Backend = {
    ...base,
    alloc: (spec) => {
      if (sizeOf(spec.shape) === 0)
        violations.push(`alloc was called with the zero-size shape [${spec.shape.join(", ")}]`);
      const storage = base.alloc(spec);
      if (live.has(storage)) violations.push("alloc returned a storage that is in use");
      live.add(storage);
      base.write({ ...spec, storage }, poison(spec));
      return storage;
    },
    free: (storage) => {
      inUse("free of", storage);
      live.delete(storage);
      base.free(storage);
    },
    kernels: wrapKernels(backend.kernels, (call, run) => {
      called.add(call.op);
      for (const operand of [...call.inputs, ...call.outputs]) if (operand) inUse(`${call.op} on`, operand.storage);
      run();
    }),
  };
  return { backend: watched, called, live, violations, reset: () => called.clear() };
};
