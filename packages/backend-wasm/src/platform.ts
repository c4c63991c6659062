/** The parts of Node and of browsers that are used here: neither's types may be needed to compile this package. */
export interface Platform {
  readonly process?: {
    readonly versions?: { readonly v8?: string };
    readonly arch?: string;
    getBuiltinModule?(name: string): unknown;
  };
  readonly navigator?: { readonly hardwareConcurrency?: number; readonly userAgent?: string };
}

/** Of Node's `os`. */
interface Os {
  availableParallelism(): number;
  cpus(): readonly { readonly model: string }[];
}

export const platform = (): Platform => globalThis as unknown as Platform;

const os = (): Os | undefined => platform().process?.getBuiltinModule?.("node:os") as Os | undefined;

/** Cores that the platform offers to this process. */
export const availableThreads = (): number =>
  os()?.availableParallelism() ?? platform().navigator?.hardwareConcurrency ?? 1;

/** Engine and processor, as far as they can be told: what a measurement holds for. In a page, the browser's word. */
export const engineName = (): string => {
  const { process, navigator } = platform();
  const { v8 } = process?.versions ?? {};
  if (v8 === undefined) return navigator?.userAgent ?? "";
  return [`V8 ${v8}`, process?.arch, os()?.cpus()[0]?.model.trim()].filter(Boolean).join(", ");
};
