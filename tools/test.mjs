// `npm test`: every check that a change must pass. `npm test -- unit size` runs some of them. All run, also behind a
// failed one; the last line counts them, a step as one and a test as one.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { acquireLock } from "./lock.mjs";
import { installPacked, link } from "./packed.mjs";
import { buildLock, CheckFailure, killAll, mustSucceed, root, run, runTool, seconds } from "./run.mjs";
import { checkSizes } from "./size.mjs";

const scratch = mkdtempSync(join(tmpdir(), "striate-test-"));

/**
 * `leftOut`: skipped for want of something that this machine has not, with the reason.
 * @typedef {{ passed: number, failed: number, skipped: number, output?: string, leftOut?: readonly string[] }} Counts
 */

/** Thrown by a step that does not apply here. */
class Skip extends Error {}

/** A project outside of the workspace that has the packed packages installed. */
const consumer = join(scratch, "consumer");

/**
 * @param {Parameters<typeof runTool>[0]} name
 * @param {readonly string[]} args
 */
const tool = (name, ...args) => mustSucceed(runTool(name, args));

/**
 * A program of the consumer.
 * @param {string} program
 * @param {readonly string[]} args
 */
const node = (program, ...args) => mustSucceed(run(process.execPath, [program, ...args], { cwd: consumer }));

/**
 * @template T
 * @param {() => Promise<T>} make
 * @returns {() => Promise<T>} makes it at the first call
 */
const once = (make) => {
  /** @type {Promise<T> | undefined} */
  let made;
  return () => {
    made ??= make();
    return made;
  };
};

const build = once(async () => {
  const lock = await acquireLock(buildLock, (owner) => console.log(`${owner} is building; waiting for it`));
  return tool("turbo", "build").finally(lock.release);
});
const built = () =>
  build().catch(() => {
    throw new CheckFailure("needs the build, which failed");
  });
const packages = once(async () => {
  await built();
  const packed = await installPacked(consumer);
  // What programs of consumers want besides, and who has it here.
  const tfjs = join(root, "packages/backend-tfjs");
  for (const [owner, name] of /** @type {const} */ ([
    [root, "@types/node"],
    [tfjs, "@tensorflow/tfjs-core"],
    [tfjs, "@tensorflow/tfjs-backend-cpu"],
  ]))
    link(join(owner, "node_modules", name), join(consumer, "node_modules", name));
  return packed;
});

/** @param {Record<string, unknown>} compilerOptions how a strict consumer compiles */
const consumerConfig = (compilerOptions) =>
  JSON.stringify({
    compilerOptions: {
      target: "es2022",
      lib: ["es2023", "esnext.disposable", "dom"],
      types: ["node"],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      ...compilerOptions,
    },
    include: ["*.ts"],
  });

const checkUnits = async () => {
  const report = join(scratch, "vitest.json");
  const args = ["run", "--reporter=dot", "--reporter=json", `--outputFile.json=${report}`];
  const { status, output } = await runTool("vitest", args);
  if (!existsSync(report)) throw new CheckFailure(output);
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  // By convention a test that stands for what this machine cannot run says so in its title.
  const leftOut = testResults.flatMap((/** @type {{ assertionResults: { status: string, title: string }[] }} */ file) =>
    file.assertionResults
      .filter(({ status, title }) => status === "skipped" && title.includes(": left out, "))
      .map(({ title }) => title),
  );
  // A file that cannot be loaded has no tests; an error outside of a test fails the run and no test.
  const failed = status === 0 ? 0 : Math.max(numFailedTests, 1);
  return { passed: numPassedTests, failed, skipped: numPendingTests + numTodoTests, output, leftOut };
};

const checkPackages = async () => {
  const problems = [];
  for (const { name, folder, tarball } of await packages()) {
    const { messages, pkg } = await publint({ pkgDir: folder, pack: false, strict: true });
    for (const message of messages) problems.push(`${name}: ${formatMessage(message, pkg, { color: false })}`);
    const attw = [tarball, "--profile", "esm-only", "--no-color", "--no-emoji"];
    const { status, output } = await runTool("attw", attw);
    if (status !== 0) problems.push(output);
    const files = (await mustSucceed(run("tar", ["-tzf", tarball]))).split(/\r?\n/);
    if (!files.includes("package/LICENSE")) problems.push(`${name}: its tarball has no LICENSE`);
    for (const file of files.filter((path) => /\/testing\/|\.test\./.test(path)))
      problems.push(`${name}: its tarball has ${file}, which only tests need`);
  }
  if (problems.length > 0) throw new CheckFailure(problems.join("\n"));
  return "";
};

/** Every entry is imported, type-checked without skipLibCheck, and the conformance suite runs, all as installed. */
const checkInstalled = async () => {
  const entries = (await packages()).flatMap((packed) => packed.entries);
  for (const [resolution, module] of [
    ["nodenext", "nodenext"],
    ["bundler", "esnext"],
  ]) {
    const folder = join(consumer, `types-${resolution}`);
    mkdirSync(folder);
    writeFileSync(
      join(folder, "tsconfig.json"),
      consumerConfig({ module, moduleResolution: resolution, noEmit: true }),
    );
    writeFileSync(join(folder, "entries.ts"), entries.map((entry) => `export type {} from "${entry}";\n`).join(""));
    await tool("tsc", "-p", folder);
  }
  cpSync(join(root, "tools/consumer/installed.mjs"), join(consumer, "installed.mjs"));
  return node(join(consumer, "installed.mjs"), ...entries);
};

/** @typedef {{ file: string, code: string, runs: boolean }} Program */

/**
 * The `ts` blocks of a README. One that says more than `ts` needs what this machine may not have.
 * @param {string} name
 * @param {string} folder
 * @returns {Program[]}
 */
const readmePrograms = (name, folder) => {
  const path = join(folder, "README.md");
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const programs = [...text.matchAll(/^```ts( .*)?\n([\s\S]*?)^```$/gm)].map(({ index, 1: needs, 2: code }) => {
    const line = text.slice(0, index).split("\n").length;
    // On the lines that it has in the README, for the compiler's messages.
    return { file: `readme-${name}-${line}.ts`, code: "\n".repeat(line) + code, runs: needs === undefined };
  });
  if (programs.length === 0) throw new CheckFailure(`${name} has no README.md with a program`);
  return programs;
};

/** The examples and what READMEs show are programs of consumers: compiled and run against the installed packages. */
const checkExamples = async () => {
  const source = join(root, "examples");
  const files = readdirSync(source).filter((file) => file.endsWith(".ts"));
  const published = await packages();
  /** @type {Program[]} */
  const programs = [
    ...files.map((file) => ({ file, code: readFileSync(join(source, file), "utf8"), runs: true })),
    ...readmePrograms("striate", root),
    ...published.flatMap(({ name, folder }) => readmePrograms(basename(name), folder)),
  ];
  const folder = join(consumer, "examples");
  mkdirSync(folder);
  for (const { file, code } of programs) writeFileSync(join(folder, file), code);
  // Declarations have been checked where the packages were installed; tfjs's would not pass.
  const config = consumerConfig({ module: "nodenext", outDir: "js", skipLibCheck: true });
  writeFileSync(join(folder, "tsconfig.json"), config);
  await tool("tsc", "-p", folder);
  for (const { file, runs } of programs) if (runs) await node(join(folder, "js", file.replace(/\.ts$/, ".js")));
  return programs.map(({ file }) => file).join("\n");
};

const checkChangesets = async () => {
  const { status } = await run("git", ["rev-parse", "--verify", "--quiet", "main"]);
  if (status !== 0) throw new Skip("git knows no branch main to compare with");
  return tool("changeset", "status");
};

/** @type {Record<string, () => Promise<Counts | string>>} */
const steps = {
  lint: () => tool("biome", "check", "--error-on-warnings", "--max-diagnostics=50"),
  types: () => tool("tsc", "-p", "tools").then(() => tool("turbo", "typecheck")),
  imports: () => tool("depcruise", "packages", "apps", "tools"),
  unit: checkUnits,
  build,
  size: () => built().then(checkSizes),
  packages: checkPackages,
  installed: checkInstalled,
  examples: checkExamples,
  changesets: checkChangesets,
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(steps, name));
if (unknown.length > 0) {
  console.error(`no such step: ${unknown.join(", ")}; the steps are ${Object.keys(steps).join(", ")}`);
  process.exit(2);
}

/**
 * @param {() => Promise<Counts | string>} step
 * @returns {Promise<Counts>}
 */
const attempt = async (step) => {
  try {
    const result = await step();
    return typeof result === "string" ? { passed: 1, failed: 0, skipped: 0 } : result;
  } catch (error) {
    if (error instanceof Skip) return { passed: 0, failed: 0, skipped: 1, output: error.message };
    const output = error instanceof CheckFailure ? error.message : String(error instanceof Error ? error.stack : error);
    return { passed: 0, failed: 1, skipped: 0, output };
  }
};

/** @param {Counts} counts */
const summary = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`;

const clean = () => rmSync(scratch, { recursive: true, force: true });
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"]))
  process.on(signal, () => {
    killAll(signal);
    clean();
    process.exit(128 + constants.signals[signal]);
  });

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
for (const [name, step] of Object.entries(steps)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const started = performance.now();
  const counts = await attempt(step);
  const { passed, failed, skipped, output = "", leftOut = [] } = counts;
  const verdict = failed > 0 ? "FAILED" : passed > 0 ? "ok" : "skipped";
  const detail = passed + failed + skipped > 1 ? summary(counts) : verdict === "skipped" ? output : "";
  console.log(`${name.padEnd(12)}${verdict.padEnd(9)}${seconds(started).padStart(8)}  ${detail}`.trimEnd());
  for (const what of leftOut) console.log(`  ${what}`);
  if (failed > 0) failures.push(`\n── ${name} ──\n${output.trimEnd()}`);
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}
clean();
for (const failure of failures) console.log(failure);
console.log(`\n${summary(total)}`);
process.exitCode = total.failed > 0 ? 1 : 0;
