// Runs the project's tools as child processes.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** @param {string} path inside the root's node_modules */
export const installed = (path) => join(root, "node_modules", path);

/** Whoever installs or builds holds this lock. */
export const buildLock = join(root, ".turbo", "build.lock");

/**
 * The tools as Node runs them, with their first arguments.
 * @satisfies {Record<string, readonly [string, ...string[]]>}
 */
export const tools = {
  attw: [installed("@arethetypeswrong/cli/dist/index.js")],
  biome: [installed("@biomejs/biome/bin/biome")],
  changeset: [installed("@changesets/cli/bin.js")],
  depcruise: [installed("dependency-cruiser/bin/dependency-cruise.mjs"), "--config", "dependency-cruiser.config.mjs"],
  tsc: [installed("typescript/bin/tsc")],
  turbo: [installed("turbo/bin/turbo"), "run", "--output-logs=errors-only", "--log-prefix=none"],
  vitest: [installed("vitest/vitest.mjs")],
};

/** @param {number} started by performance.now() */
export const seconds = (started) => `${((performance.now() - started) / 1000).toFixed(1)} s`;

/**
 * No telemetry; pnpm for turbo; nothing of what the npm that started this was told about its own output.
 * @param {boolean} plain without colours
 */
const toolEnvironment = (plain) => {
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1", TURBO_NO_UPDATE_NOTIFIER: "1", DO_NOT_TRACK: "1" };
  for (const name of Object.keys(env)) if (name.toLowerCase() === "npm_config_loglevel") delete env[name];
  if (plain) {
    env.NO_COLOR = "1";
    delete env.FORCE_COLOR;
  }
  env.PATH = installed(".bin") + delimiter + (process.env.PATH ?? "");
  return env;
};

/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();

/** @param {NodeJS.Signals} signal */
export const killAll = (signal) => {
  for (const child of children) child.kill(signal);
};

/** @typedef {{ inherit?: boolean, shell?: boolean, cwd?: string }} RunOptions `inherit`: it has this process's streams */

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<{ status: number, output: string }>} the exit code, or 128 + the number of the signal that ended it;
 *   what it wrote on both streams, unless they are inherited
 */
export const run = (program, args, { inherit = false, shell = false, cwd = root } = {}) =>
  new Promise((resolve, reject) => {
    /** @type {Buffer[]} */
    const output = [];
    /** @type {import("node:child_process").StdioOptions} */
    const stdio = inherit ? "inherit" : ["ignore", "pipe", "pipe"];
    const child = spawn(program, args, { cwd, shell, env: toolEnvironment(!inherit), stdio });
    children.add(child);
    child.stdout?.on("data", (chunk) => output.push(chunk));
    child.stderr?.on("data", (chunk) => output.push(chunk));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      children.delete(child);
      const status = code ?? 128 + (signal ? constants.signals[signal] : 0);
      resolve({ status, output: Buffer.concat(output).toString() });
    });
  });

/**
 * @param {keyof typeof tools} tool
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 */
export const runTool = (tool, args, options) => run(process.execPath, [...tools[tool], ...args], options);

/** A check found something: the message says it all. */
export class CheckFailure extends Error {}

/**
 * @param {Promise<{ status: number, output: string }>} running
 * @returns {Promise<string>} the output; @throws CheckFailure with the output where it failed
 */
export const mustSucceed = async (running) => {
  const { status, output } = await running;
  if (status !== 0) throw new CheckFailure(`${output.trimEnd()}\nexit code ${status}`);
  return output;
};
