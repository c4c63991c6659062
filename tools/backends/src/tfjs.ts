import type { Backend } from "@striate/core";

/** tfjs's own packages; importing one registers it with tfjs. */
const packages = {
  cpu: () => import("@tensorflow/tfjs-backend-cpu"),
  wasm: () => import("@tensorflow/tfjs-backend-wasm"),
  webgl: () => import("@tensorflow/tfjs-backend-webgl"),
  webgpu: () => import("@tensorflow/tfjs-backend-webgpu"),
} as const;

export type TfjsName = keyof typeof packages;

/** Striate on a backend of tfjs. @throws ArgumentError where tfjs has no such backend on this platform. */
export const createTfjs = async (name: TfjsName): Promise<Backend> => {
  const [core, { createTfjsBackend }] = await Promise.all([
    import("@tensorflow/tfjs-core"),
    import("@striate/backend-tfjs"),
    packages[name](),
  ]);
  // Without it tfjs advertises its other packages on the console.
  core.enableProdMode();
  return createTfjsBackend({ backend: name, tf: core });
};
