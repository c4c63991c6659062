// kill -9 at many moments, in a process of its own: what is trained on afterwards is what would have been.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { randomWords } from "@striate/core";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newestCheckpoint, type RunEvent, readMetrics } from "./node/index.js";
import type { Death, Mortal } from "./testing/mortal.js";

const full = process.env["STRIATE_FULL"] === "1";
const scratch = mkdtempSync(join(tmpdir(), "striate-kill-"));
const program = join(scratch, "mortal-run.mjs");

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL("./testing/mortal-run.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["striate-source"],
    outfile: program,
    logLevel: "error",
  });
}, 60_000);
afterAll(() => rmSync(scratch, { recursive: true }));

interface Ended {
  readonly signal: string | null;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** By its own hand at a point of its work, or by ours after so many milliseconds. */
type Killing = Death | { readonly after: number } | { readonly interruptAt: number };

const argumentsOf = (killing: Killing | undefined): string[] => {
  if (killing && "at" in killing) return [`${killing.at}`, killing.saving ? "saving" : "all"];
  return killing && "interruptAt" in killing ? [`${killing.interruptAt}`, "interrupt"] : [];
};

const start = (folder: string, backend: string, killing?: Killing): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const args = [program, folder, backend, ...argumentsOf(killing)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    const written = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        written[stream] += text;
      });
    const timer = killing && "after" in killing ? setTimeout(() => child.kill("SIGKILL"), killing.after) : undefined;
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...written });
    });
  });

/** Lines of metrics without what differs between any two runs: times, and that they went on. */
const comparable = (events: readonly RunEvent[]): object[] =>
  events
    .filter(({ event }) => event !== "resume")
    .map(({ time: _, seconds: __, imagesPerSecond: ___, ...rest }) => rest);

const outcome = async (folder: string) => {
  const found = await newestCheckpoint(folder);
  const summary = JSON.parse(await readFile(join(folder, "summary.json"), "utf8")) as Record<string, unknown>;
  return {
    step: found?.step,
    states: found?.checkpoint.states,
    weights: await readFile(join(folder, "weights.safetensors")),
    tests: summary["tests"],
    best: summary["best"],
    metrics: comparable(await readMetrics(folder)),
  };
};

/** In [0, below), from a counter. */
const random = (index: number, below: number): number => (randomWords(7, 1, index, 1)[0] as number) % below;

/** How many kills of each kind: at any point, within a save of a checkpoint, and from outside at any time. */
const kills = full ? { any: 50, saving: 20, outside: 30 } : { any: 3, saving: 2, outside: 1 };
const inAll = kills.any + kills.saving + kills.outside;

describe.each(["cpu", "wasm"])("%s", (backend) => {
  test(`${inAll} kills, ${kills.saving} of them in a save: weights, state and metrics are those of an undisturbed run`, {
    timeout: full ? 1_200_000 : 120_000,
  }, async () => {
    const undisturbed = join(scratch, `${backend}-undisturbed`);
    const began = performance.now();
    const whole = await start(undisturbed, backend);
    const milliseconds = Math.ceil(performance.now() - began);
    expect(whole).toMatchObject({ code: 0, stderr: "" });
    const passed = JSON.parse(whole.stdout) as Mortal["passed"];
    const expected = await outcome(undisturbed);

    const left = { ...kills };
    let drawn = 0;
    /** The next kill, of a kind that is still to be done. */
    const next = (): [kind: keyof typeof left, killing: Killing] | undefined => {
      const kinds = (Object.keys(left) as (keyof typeof left)[]).filter((kind) => left[kind] > 0);
      const kind = kinds[drawn % kinds.length];
      const draw = (below: number): number => 1 + random(drawn++, below);
      if (kind === "any") return [kind, { saving: false, at: draw(passed.all) }];
      if (kind === "saving") return [kind, { saving: true, at: draw(passed.saving) }];
      return kind && [kind, { after: draw(milliseconds) }];
    };
    for (let round = 0; left.any + left.saving + left.outside > 0; round++) {
      const folder = join(scratch, `${backend}-${round}`);
      // One run is killed again and again, until it ends or the kills are used up.
      for (;;) {
        const [kind, killing] = next() ?? [];
        const { signal, code, stderr } = await start(folder, backend, killing);
        if (signal === null) {
          expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
          break;
        }
        expect([signal, kind]).toEqual(["SIGKILL", expect.any(String)]);
        left[kind as keyof typeof left]--;
      }
      expect(await outcome(folder), `run ${round}`).toEqual(expected);
      rmSync(folder, { recursive: true });
    }
  });
});

test("SIGINT: the step is finished, all is saved, the code is 130; then it goes on as if nothing had happened", async () => {
  const undisturbed = join(scratch, "not-interrupted");
  await start(undisturbed, "cpu");
  const folder = join(scratch, "interrupted");
  for (const interruptAt of [1, 4]) {
    expect(await start(folder, "cpu", { interruptAt })).toMatchObject({ code: 130, signal: null, stderr: "" });
    const last = (await readMetrics(folder)).at(-1);
    expect(last).toMatchObject({ event: "end", ended: "aborted" });
    expect((await newestCheckpoint(folder))?.step).toBe(last?.["steps"]);
  }
  expect(await start(folder, "cpu")).toMatchObject({ code: 0, stderr: "" });
  // An interruption makes a checkpoint of its own.
  const withoutCheckpoints = (result: Awaited<ReturnType<typeof outcome>>) => ({
    ...result,
    metrics: result.metrics.filter((line) => (line as RunEvent).event !== "checkpoint"),
  });
  expect(withoutCheckpoints(await outcome(folder))).toEqual(withoutCheckpoints(await outcome(undisturbed)));
});
