// The way in: `node tools/bootstrap.mjs <command> [args]`, behind every script of the root package.json. It makes a fresh
// clone ready (install, build) and then runs the command. Plain Node without dependencies, because nothing is installed
// yet. Standard output belongs to the command: all that is said here goes to standard error.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { acquireLock } from "./lock.mjs";
import { buildLock, installed, killAll, root, run, runTool, seconds } from "./run.mjs";

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/**
 * `build`: the workspace packages that are built first, with what they depend on. `main`: a module that is then run in this
 * process, so that it owns the standard streams, the signals and the exit code. `tool`: what is run instead, with its
 * first arguments.
 * @type {Record<string, {
 *   build?: string, main?: string, env?: Record<string, string>, tool?: [keyof typeof import("./run.mjs").tools, ...string[]]
 * }>}
 */
const commands = {
  cifar10: { build: "@striate/app-cifar10", main: "apps/cifar10/dist/main.js" },
  conformance: { build: "@striate/app-conformance", main: "apps/conformance/dist/main.js" },
  bench: { build: "@striate/bench", main: "tools/bench/dist/main.js" },
  "bench:gpu": { build: "@striate/bench", main: "tools/bench/dist/gpu.js" },
  "bench:ui": { build: "@striate/bench", main: "tools/bench/dist/live-page.js" },
  lenet5: { build: "@striate/lenet5", main: "tools/lenet5/dist/main.js" },
  test: { main: "tools/test.mjs" },
  "test:full": { main: "tools/test.mjs", env: { STRIATE_FULL: "1" } },
  build: { build: "*" },
  typecheck: { tool: ["turbo", "typecheck"] },
  lint: { tool: ["biome", "check"] },
  format: { tool: ["biome", "check", "--write"] },
};

/** @param {string} message */
const say = (message) => process.stderr.write(`striate: ${message}\n`);

/** @param {string} message */
const fail = (message) => {
  say(message);
  process.exit(1);
};

/** @param {string} version */
const numbers = (version) => version.split(".").map(Number);

const checkNode = () => {
  const wanted = manifest.engines.node.replace(">=", "");
  const [major = 0, minor = 0] = numbers(process.versions.node);
  const [wantedMajor = 0, wantedMinor = 0] = numbers(wanted);
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor))
    fail(`needs Node ${wanted} or later, but this is Node ${process.versions.node} (${process.execPath})`);
};

/** The manifests of the root and of every workspace package, as pnpm-workspace.yaml lists them, and the lockfile. */
const installInputs = () => {
  const files = ["pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc", "package.json", "examples/package.json"];
  for (const group of ["packages", "apps", "tools"])
    for (const name of readdirSync(join(root, group)).sort()) files.push(`${group}/${name}/package.json`);
  return files.filter((file) => existsSync(join(root, file)));
};

/** Changes when what is installed must change. */
const installStamp = () => {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const file of installInputs()) {
    const content = readFileSync(join(root, file));
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest("hex");
};

const install = async () => {
  const stampFile = installed(".striate-install");
  const stamp = installStamp();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;

  say("installing dependencies …");
  const started = performance.now();
  const { packageManager } = manifest;
  const npx = ["--yes", "--loglevel=error", packageManager, "install", "--frozen-lockfile", "--prefer-offline"];
  // Windows starts npx.cmd through a shell only.
  const { status, output } = await run("npx", npx, { shell: process.platform === "win32" });
  if (status !== 0) {
    process.stderr.write(output);
    fail(
      `the installation failed (${packageManager}, exit code ${status}). The first start needs the npm registry. ` +
        `After a change of dependencies, update the lockfile first: npx --yes ${packageManager} install`,
    );
  }
  writeFileSync(stampFile, stamp);
  say(`installed in ${seconds(started)}`);
};

/** @param {string} filter the workspace packages that are wanted; what they depend on is built before them */
const build = async (filter) => {
  const notice = setTimeout(() => say("building …"), 1000);
  const { status, output } = await runTool("turbo", ["build", `--filter=${filter}`]);
  clearTimeout(notice);
  if (status !== 0) {
    process.stderr.write(output);
    fail("the build failed");
  }
};

/** @param {{ build?: string }} command */
const prepare = async (command) => {
  const lock = await acquireLock(buildLock, (owner) => say(`${owner} is setting up; waiting for it …`));
  /** @type {NodeJS.SignalsListener} */
  const stop = (signal) => {
    killAll(signal);
    lock.release();
    process.exit(128 + constants.signals[signal]);
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  process.on("exit", lock.release);
  await install();
  if (command.build !== undefined) await build(command.build);
  lock.release();
  process.off("SIGINT", stop).off("SIGTERM", stop).off("exit", lock.release);
};

/**
 * npm passes the terminal's SIGINT on to a process that had it from the terminal already. A program that leaves at once
 * on the second SIGINT would never get to finish its step, so the copy is dropped.
 */
const dropRepeatedInterrupts = () => {
  const window = 250; // milliseconds; npm's copy comes within a few, a second key press does not
  const emit = process.emit.bind(process);
  let last = Number.NEGATIVE_INFINITY;
  /** @param {[any, ...any[]]} event */
  process.emit = (...event) => {
    if (event[0] === "SIGINT") {
      const now = performance.now();
      if (now - last < window) return true;
      last = now;
    }
    return /** @type {Function} */ (emit)(...event);
  };
};

checkNode();
const [name = "", ...args] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command === undefined) {
  say(`${name === "" ? "no command" : `unknown command "${name}"`}; one of: ${Object.keys(commands).join(", ")}`);
  process.exit(1);
}
await prepare(command);
Object.assign(process.env, command.env);
if (command.tool !== undefined) {
  const [tool, ...first] = command.tool;
  const { status } = await runTool(tool, [...first, ...args], { inherit: true });
  process.exitCode = status;
} else if (command.main !== undefined) {
  const main = join(root, command.main);
  process.argv = [process.execPath, main, ...args];
  if (process.env.npm_lifecycle_event !== undefined) dropRepeatedInterrupts();
  await import(pathToFileURL(main).href);
}
