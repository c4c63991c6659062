/** The page's files from the sources: tests need no build. */
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { type PageFiles, pageFiles } from "../page-files.js";

const folder = new URL("../page/", import.meta.url);

export const sourcePageFiles = async (): Promise<PageFiles> => {
  const files = new Map(await pageFiles(fileURLToPath(folder)));
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".ts") || name.endsWith(".test.ts")) continue;
    const { code } = await transform(await readFile(new URL(name, folder), "utf8"), { loader: "ts", target: "es2022" });
    files.set(name.replace(/\.ts$/, ".js"), { type: "text/javascript; charset=utf-8", content: code });
  }
  return files;
};
