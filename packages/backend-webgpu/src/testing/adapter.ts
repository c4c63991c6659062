import { test } from "vitest";
import { createWebGpuBackend, type WebGpuBackend, type WebGpuBackendOptions } from "../index.js";

const missing = async (): Promise<string | null> => {
  try {
    (await createWebGpuBackend()).dispose();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

const reason = await missing();

/**
 * A suite that needs an adapter. Without one it is left out, and says so; where STRIATE_REQUIRE_WEBGPU is 1, as in
 * continuous integration, that is a failure.
 */
export const withAdapter = (what: string, define: () => void): void => {
  if (reason === null) define();
  else if (process.env["STRIATE_REQUIRE_WEBGPU"] === "1")
    test(what, () => {
      throw new Error(`STRIATE_REQUIRE_WEBGPU is 1, and there is no adapter: ${reason}`);
    });
  else test.skip(`${what}: left out, there is no WebGPU adapter (${reason})`, () => {});
};

/** Runs with a backend of its own. */
export const withBackend =
  (run: (backend: WebGpuBackend) => void | Promise<void>, options: WebGpuBackendOptions = {}) =>
  async (): Promise<void> => {
    const backend = await createWebGpuBackend(options);
    try {
      await run(backend);
    } finally {
      backend.dispose();
    }
  };
