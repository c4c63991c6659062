import { access, constants, statfs } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { backendNames, createBackend } from "@striate/backends";
import { findChromium } from "@striate/chromium";
import { tensor } from "@striate/core";
import { defaultCacheFolder } from "@striate/data/node";
import { type CommonOptions, createCommand, parseWith } from "../cli.js";
import { filesIn } from "../data-files.js";
import { runsFolder } from "../runs.js";
import type { CommandDefinition } from "./command.js";

/** `missing`: something optional is not there. `wrong`: training as the defaults have it does not work. */
type State = "ok" | "missing" | "wrong";

interface Finding {
  readonly subject: string;
  readonly state: State;
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

const command = () =>
  createCommand({
    name: "doctor",
    summary: "Say what works on this machine, and what to do about the rest.",
    examples: ["npm run cifar10 -- doctor", "npm run --silent cifar10 -- doctor --json"],
  });

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

const node = (): Finding => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const enough = major > 20 || (major === 20 && minor >= 19);
  const found = `${process.version} on ${process.platform} ${process.arch}`;
  return enough
    ? { subject: "Node", state: "ok", found }
    : { subject: "Node", state: "wrong", found, advice: "Install Node 20.19 or later." };
};

const machine = (): Finding => ({
  subject: "machine",
  state: "ok",
  found: `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? "unknown"}), ${gigabytes(totalmem())} of memory`,
});

/** A module with one SIMD instruction: `v128.const; drop`. */
const simdModule = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 26, 11,
]);

const simd = (): Finding =>
  WebAssembly.validate(simdModule)
    ? { subject: "WebAssembly SIMD", state: "ok", found: "there" }
    : {
        subject: "WebAssembly SIMD",
        state: "wrong",
        found: "not there",
        advice: "This Node cannot run the wasm backend; take a build for x64 or arm64, or --backend cpu.",
      };

const threads = (): Finding =>
  typeof SharedArrayBuffer === "function"
    ? { subject: "threads", state: "ok", found: `SharedArrayBuffer, ${availableParallelism()} workers` }
    : {
        subject: "threads",
        state: "missing",
        found: "no SharedArrayBuffer",
        advice: "The wasm backend runs on one core; start Node without flags that take SharedArrayBuffer away.",
      };

/** Backends that the defaults do without. */
const advice: Readonly<Record<string, string>> = {
  wasm: "The default falls back on --backend cpu, which is slow.",
  webgpu: "Optional. In Node it needs a GPU with its driver (Vulkan, Metal or D3D12) and the package webgpu.",
};

const backend = async (name: string): Promise<Finding> => {
  const subject = `backend ${name}`;
  try {
    const { backend: made } = await createBackend(name);
    try {
      const two = tensor([1, 1], { backend: made });
      const value = await two.sum().item();
      two.dispose();
      const found = `${made.description ?? "works"}`;
      return value === 2
        ? { subject, state: "ok", found }
        : { subject, state: "wrong", found: `1 + 1 is ${value}`, advice: "Run the conformance suite on it." };
    } finally {
      made.dispose();
    }
  } catch (error) {
    const state = name === "wasm" || name === "cpu" ? "wrong" : "missing";
    const found = (error as Error).message.split("\n")[0] as string;
    return { subject, state, found, ...(advice[name] && { advice: advice[name] }) };
  }
};

const data = (): Finding => {
  const folder = join(defaultCacheFolder(), "cifar-10-batches-bin");
  const missing = filesIn(folder).filter(({ bytes }) => bytes !== 30_730_000);
  return missing.length === 0
    ? { subject: "CIFAR-10", state: "ok", found: folder }
    : {
        subject: "CIFAR-10",
        state: "missing",
        found: `${missing.length} of 6 files are not in ${folder}`,
        advice:
          "npm run cifar10 -- data fetch, or --data with a folder that has them; the first training fetches them too.",
      };
};

/** Where a file could be made: the folder itself, or the nearest one above it that is there. */
const existing = async (folder: string): Promise<string> => {
  try {
    await access(folder);
    return folder;
  } catch {
    const above = dirname(folder);
    return above === folder ? folder : existing(above);
  }
};

const disk = async (subject: string, folder: string, needed: number): Promise<Finding> => {
  try {
    const there = await existing(folder);
    await access(there, constants.W_OK);
    const { bavail, bsize } = await statfs(there);
    const free = bavail * bsize;
    const found = `${folder}, ${gigabytes(free)} free`;
    return free >= needed
      ? { subject, state: "ok", found }
      : { subject, state: "wrong", found, advice: `Make room: ${gigabytes(needed)} are needed.` };
  } catch (error) {
    const found = `${folder}: ${(error as Error).message}`;
    return { subject, state: "wrong", found, advice: "Make the folder writable, or name another." };
  }
};

const chromium = async (): Promise<Finding> => {
  const subject = "Chromium";
  try {
    return { subject, state: "ok", found: await findChromium() };
  } catch (error) {
    return {
      subject,
      state: "missing",
      found: (error as Error).message,
      advice: "Only tests in a browser want it.",
    };
  }
};

const marks: Readonly<Record<State, string>> = { ok: "ok     ", missing: "missing", wrong: "WRONG  " };

export const doctor: CommandDefinition<CommonOptions> = {
  parse: (args, given = {}) => parseWith(command(), args, given, (options) => options as unknown as CommonOptions),
  run: async (_, { reporter, signal }) => {
    const checks: readonly (() => Finding | Promise<Finding>)[] = [
      node,
      machine,
      simd,
      threads,
      ...["cpu", "wasm", "webgpu"].filter((name) => backendNames.includes(name)).map((name) => () => backend(name)),
      data,
      () => disk("cache", defaultCacheFolder(), 400e6),
      () => disk("runs", join(process.cwd(), runsFolder), 200e6),
      chromium,
    ];
    let wrong = 0;
    for (const check of checks) {
      if (signal.aborted) return "ok";
      const finding = await check();
      if (finding.state === "wrong") wrong++;
      reporter.event({ event: "check", ...finding }, ({ bold, dim }) => {
        const { state, subject, found, advice: todo } = finding;
        const line = `${state === "wrong" ? bold(marks[state]) : marks[state]}  ${subject}: ${found}`;
        return todo === undefined ? line : `${line}\n${" ".repeat(9)}${dim(todo)}`;
      });
    }
    reporter.event({ event: "end", wrong }, ({ bold }) =>
      wrong === 0 ? bold("npm run cifar10 will work") : bold(`${wrong} to be put right`),
    );
    return wrong === 0 ? "ok" : "check";
  },
};
