import { type CommonOptions, createCommand, parseWith, readPath } from "../cli.js";
import { compareRuns, comparisonText } from "../comparison.js";
import { ConfigError } from "../config/resolve.js";
import { writeComparison } from "../report/index.js";
import { findRuns } from "../runs.js";
import type { CommandDefinition } from "./command.js";

export interface CompareOptions extends CommonOptions {
  readonly runs: readonly string[];
  readonly html: string | undefined;
}

const command = () =>
  createCommand({
    name: "compare",
    summary: "Runs side by side: what they came to, what they took, and where their configs differ.",
    examples: [
      "npm run cifar10 -- compare runs/20261121-101500-fast70-wasm-seed0 runs/20261121-102000-lenet5-wasm-seed0",
      "npm run cifar10 -- compare runs/* --html comparison.html",
    ],
  })
    .argument("<run...>", "their folders, or folders with runs in them: those of --seeds, of an experiment")
    .option("--html <file>", "a page with table and curves too", readPath);

export const compare: CommandDefinition<CompareOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options, runs) => {
      const folders = runs.flatMap(findRuns);
      if (folders.length < 2) throw new ConfigError(`compare takes two runs or more, not ${folders.length}`);
      return { ...options, runs: folders } as unknown as CompareOptions;
    }),
  run: async ({ runs: folders, html }, { reporter }) => {
    const comparison = await compareRuns(folders);
    if (html !== undefined) await writeComparison(folders, html);
    reporter.event({ event: "comparison", ...comparison, ...(html !== undefined && { html }) }, (style) =>
      [comparisonText(comparison, style), ...(html === undefined ? [] : [html])].join("\n"),
    );
    return "ok";
  },
};
