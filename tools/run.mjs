// Runs the project's tools as child processes.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** @param {string} path inside the root's node_modules */
export const installed = (path) => join(root, "node_modules", path);

/** @param {number} started by performance.now() */
export const seconds = (started) => `${((performance.now() - started) / 1000).toFixed(1)} s`;

/** No telemetry; pnpm for turbo; nothing of what the npm that started this was told about its own output. */
const toolEnvironment = () => {
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1", TURBO_NO_UPDATE_NOTIFIER: "1", DO_NOT_TRACK: "1" };
  for (const name of Object.keys(env)) if (name.toLowerCase() === "npm_config_loglevel") delete env[name];
  env.PATH = installed(".bin") + delimiter + (process.env.PATH ?? "");
  return env;
};

/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();

/** @param {NodeJS.Signals} signal */
export const killAll = (signal) => {
  for (const child of children) child.kill(signal);
};

/**
 * @param {string} file a program, or a module that Node runs
 * @param {readonly string[]} args
 * @param {{ inherit?: boolean, shell?: boolean, cwd?: string, env?: Record<string, string> }} options `inherit`: the
 *   program has this process's streams, and `output` stays empty
 * @returns {Promise<{ status: number, output: string }>} the exit code, 128 + the signal's number where a signal ended
 *   it; what it wrote on both streams
 */
export const run = (file, args, { inherit = false, shell = false, cwd = root, env = {} } = {}) =>
  new Promise((resolve, reject) => {
    const [program, rest] = /\.[cm]?js$/.test(file) ? [process.execPath, [file, ...args]] : [file, args];
    /** @type {Buffer[]} */
    const output = [];
    const child = spawn(program, rest, {
      cwd,
      shell,
      env: { ...toolEnvironment(), ...env },
      stdio: inherit ? "inherit" : ["ignore", "pipe", "pipe"],
    });
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

const turboScript = installed("turbo/bin/turbo");

/**
 * Runs a script of the workspace packages, after the same script of what they depend on, unless nothing has changed.
 * @param {string} task
 * @param {readonly string[]} args
 */
export const turbo = (task, ...args) =>
  run(process.execPath, [turboScript, "run", task, "--output-logs=errors-only", "--log-prefix=none", ...args]);
