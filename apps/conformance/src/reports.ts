import { constants } from "node:fs";
import { access, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type ConformanceReport, renderHtml, renderMarkdown } from "@striate/conformance";
import type { Options } from "./options.js";

/** A report cannot be written. */
export class OutputError extends Error {
  override readonly name = "OutputError";
}

type Format = "json" | "markdown" | "html";

const renderers: Readonly<Record<Format, (report: ConformanceReport) => string>> = {
  json: (report) => `${JSON.stringify(report, null, 2)}\n`,
  markdown: renderMarkdown,
  html: renderHtml,
};

const wanted = (options: Options): { readonly format: Format; readonly path: string }[] =>
  (Object.keys(renderers) as Format[]).flatMap((format) => {
    const path = options[format];
    return path === undefined ? [] : [{ format, path }];
  });

const isFolder = async (path: string): Promise<boolean> => {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ?? false;
};

/** Minutes of work should not end in a folder that cannot be written. @throws OutputError */
export const expectWritable = async (options: Options): Promise<void> => {
  for (const { format, path } of wanted(options)) {
    if (await isFolder(path)) throw new OutputError(`--${format} ${path}: is a folder, expected a file`);
    try {
      await access(dirname(path), constants.W_OK);
    } catch (error) {
      throw new OutputError(`--${format} ${path}: ${(error as Error).message}`, { cause: error });
    }
  }
};

/** Each file appears whole or not at all. @throws OutputError */
export const writeReports = async (options: Options, report: ConformanceReport): Promise<void> => {
  for (const { format, path } of wanted(options)) {
    const part = `${path}.part`;
    try {
      await writeFile(part, renderers[format](report));
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true });
      throw new OutputError(`--${format} ${path}: ${(error as Error).message}`, { cause: error });
    }
  }
};
