import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { type BuildOptions, build } from "esbuild";

/** What a CommonJS module finds around it, `require` among it, and what stands in for a global. */
export type Surroundings = Readonly<Record<string, unknown>>;

/**
 * A copy of a library with globals of its own, so that several can run side by side in one process.
 *
 * @param contents a module that exports what is wanted; it is bundled from this folder's packages
 * @returns what it exports
 */
export const loadBundled = async <T>(
  contents: string,
  filename: string,
  surroundings: Surroundings,
  options: BuildOptions = {},
): Promise<T> => {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: dirname(fileURLToPath(import.meta.url)) },
    bundle: true,
    format: "cjs",
    platform: "node",
    logLevel: "silent",
    ...options,
    write: false,
  });
  const source = (outputFiles[0] as { readonly text: string }).text;
  const run = compileFunction(source, ["module", "exports", ...Object.keys(surroundings)], { filename });
  const module = { exports: {} };
  run(module, module.exports, ...Object.values(surroundings));
  return module.exports as T;
};
