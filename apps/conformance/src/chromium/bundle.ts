import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BrowserError } from "@striate/chromium";
// esbuild: the project's bundler already, and fast enough to bundle at every run, so that the page is never out of date.
import { build, type Metafile } from "esbuild";

/** Imports that a page cannot follow: harmless behind a condition and `import()`, fatal at the top of a module. */
const nodeOnly = ["node:*", "webgpu"];

/** The metafile's paths are relative to it. */
const here = fileURLToPath(new URL(".", import.meta.url));

const staticNodeImports = ({ outputs }: Metafile): string[] =>
  Object.values(outputs).flatMap(({ imports, inputs }) =>
    imports
      .filter(({ external, kind }) => external && kind !== "dynamic-import")
      .map(({ path }) => `${path} (by one of ${Object.keys(inputs).join(", ")})`),
  );

/** WebAssembly that lies beside a bundled module: packages fetch it from beside their script. */
const wasmFiles = async ({ inputs }: Metafile): Promise<(readonly [string, Uint8Array])[]> => {
  const found: (readonly [string, Uint8Array])[] = [];
  // "(disabled):PATH" stands for a module that its package leaves out of browsers.
  const modules = Object.keys(inputs).filter((path) => !path.startsWith("(disabled):"));
  for (const folder of new Set(modules.map((path) => dirname(join(here, path)))))
    for (const name of await readdir(folder))
      if (name.endsWith(".wasm")) found.push([name, await readFile(join(folder, name))]);
  return found;
};

interface BundleOptions {
  /** Export conditions beyond those of browsers. */
  readonly conditions?: readonly string[];
  readonly entryPoints?: readonly string[];
}

/**
 * What the page loads, by file name: `page.js`, `worker.js`, chunks (so that a page loads the backend it runs
 * and no other), and WebAssembly.
 *
 * @throws BrowserError for a module of Node among them.
 */
export const bundlePage = async ({
  conditions = [],
  entryPoints = ["../page/page", "../page/worker"],
}: BundleOptions = {}): Promise<ReadonlyMap<string, Uint8Array>> => {
  const { outputFiles, metafile } = await build({
    absWorkingDir: here,
    entryPoints: [...entryPoints],
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: [...conditions],
    external: nodeOnly,
    outdir: "page",
    write: false,
    metafile: true,
    logLevel: "silent",
  }).catch((error: Error) => {
    throw new BrowserError(`the page cannot be bundled: ${error.message}`, { cause: error });
  });
  const found = staticNodeImports(metafile);
  if (found.length > 0) throw new BrowserError(`the page cannot be bundled: it imports ${found.join("; ")}`);
  return new Map([
    ...outputFiles.map(({ path, contents }) => [basename(path), contents] as const),
    ...(await wasmFiles(metafile)),
  ]);
};
