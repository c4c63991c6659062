/** For backends around backends: profilers, tracers, checks of the contract. */
import type { Backend, Call, Kernels, OpName, OptionalKernel, Storage } from "./backend.js";

/** A plain copy whose members can be replaced by spreading it: a backend may be an instance of a class. */
export const delegate = <S extends Storage>(backend: Backend<S>): Backend<S> => {
  const { readSync, description } = backend;
  return {
    apiVersion: backend.apiVersion,
    name: backend.name,
    ...(description !== undefined && { description }),
    caps: backend.caps,
    kernels: backend.kernels,
    alloc: (spec) => backend.alloc(spec),
    free: (storage) => backend.free(storage),
    write: (destination, data) => backend.write(destination, data),
    read: (source) => backend.read(source),
    ...(readSync && { readSync: (source) => readSync.call(backend, source) }),
    flush: () => backend.flush(),
    sync: () => backend.sync(),
    lost: backend.lost,
    dispose: () => backend.dispose(),
  };
};

/** The same kernels, each called by `run` when `observe` says so; what they support stays as it is. */
export const wrapKernels = <S extends Storage>(
  kernels: Kernels<S>,
  observe: (call: Call<OpName, S>, run: () => void) => void,
): Kernels<S> =>
  Object.fromEntries(
    Object.entries(kernels).map(([name, kernel]) => {
      if (typeof kernel === "function") {
        const required = kernel as (call: Call<OpName, S>) => void;
        return [name, (call: Call<OpName, S>) => observe(call, () => required.call(kernels, call))];
      }
      const optional = kernel as OptionalKernel<OpName, S>;
      const { supports } = optional;
      const wrapped: OptionalKernel<OpName, S> = {
        ...(supports && { supports: (spec) => supports.call(optional, spec) }),
        run: (call) => observe(call, () => optional.run(call)),
      };
      return [name, wrapped];
    }),
  ) as unknown as Kernels<S>;
