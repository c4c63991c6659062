import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";

/** Where the times were taken. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  /** Processes that wanted a core in the last minute, on average; 0 on Windows, which does not say. */
  readonly load: number;
}

export const machineInfo = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  system: `${platform()} ${release()} ${arch()}`,
  node: process.versions.node,
  v8: process.versions.v8,
  load: loadavg()[0] as number,
});
