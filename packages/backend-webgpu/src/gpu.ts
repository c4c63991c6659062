import { UnsupportedError } from "@striate/core/backend";
import { BACKEND } from "./errors.js";

/** The module `webgpu` (Dawn for Node): what is used of it. */
interface DawnModule {
  create(options: string[]): GPU;
}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Dawn's GPU objects by their options. One must outlive all promises of all its devices, or Dawn for Node crashes: they are
 * kept, as a browser keeps `navigator.gpu`. The map is a memo and holds no setting.
 */
const opened = new Map<string, GPU>();

/** Where the engine itself has none: the optional package `webgpu`, which only Node can load. */
const fromDawn = async (toggles: readonly string[]): Promise<GPU> => {
  let dawn: DawnModule;
  try {
    // A variable, so that bundlers for browsers leave the import alone.
    const name = "webgpu";
    dawn = (await import(/* @vite-ignore */ name)) as DawnModule;
  } catch (error) {
    throw new UnsupportedError(
      "createWebGpuBackend",
      BACKEND,
      `there is no navigator.gpu, and the package "webgpu" cannot be loaded (${describe(error)}); in Node, install it`,
    );
  }
  const key = toggles.join();
  const gpu = opened.get(key) ?? dawn.create([...toggles]);
  opened.set(key, gpu);
  return gpu;
};

/** `navigator.gpu` of a browser or worker, else Dawn's. @throws UnsupportedError */
export const findGpu = async (dawnOptions: readonly string[]): Promise<GPU> => {
  const scope = globalThis as { readonly navigator?: { readonly gpu?: GPU } };
  return scope.navigator?.gpu ?? (await fromDawn(dawnOptions));
};
