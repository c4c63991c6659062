// The program as people run it: built, in a process of its own.
import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { weightsSha256 } from "@striate/checkpoint";
import { loadSafetensors } from "@striate/checkpoint/node";
import { defaultCacheFolder } from "@striate/data/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const bootstrap = join(root, "tools/bootstrap.mjs");
const main = join(root, "apps/cifar10/dist/main.js");
const scratch = mkdtempSync(join(tmpdir(), "striate-e2e-"));
const timeout = 120_000;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Watch = (child: ReturnType<typeof spawn>, text: string, stream: "stdout" | "stderr") => void;

/** Runs a program; `watch` hears all that a stream has written so far, and may act on the process. */
const start = (args: readonly string[], watch: Watch = () => {}, stdout: "pipe" | number = "pipe"): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, NO_COLOR: "1" };
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", stdout, "pipe"] });
    const written = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream]?.setEncoding("utf8").on("data", (text: string) => {
        written[stream] += text;
        watch(child, written[stream], stream);
      });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...written }));
  });

const eventsOf = (stdout: string): Record<string, unknown>[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

let folders = 0;
const newFolder = (): string => join(scratch, `out${folders++}`);

beforeAll(async () => {
  const { code, stdout, stderr } = await start([bootstrap, "cifar10", "--help"]);
  expect(stderr + stdout).toContain("Usage: npm run cifar10 -- [options]");
  expect(code).toBe(0);
}, 300_000);

afterAll(() => rmSync(scratch, { recursive: true }));

/** CIFAR-10 as an earlier run has left it; the tests do not fetch 139 MB. */
const cache = join(defaultCacheFolder(), "cifar-10-batches-bin");
const reason = existsSync(join(cache, "test_batch.bin")) ? "" : ` (skipped: CIFAR-10 is not in ${cache})`;

test.skipIf(reason !== "")(
  `real data: a few steps, and all test images${reason}`,
  async () => {
    const out = newFolder();
    const args = ["--epochs", "0.005", "--batch-size", "16", "--seed", "3", "--offline", "--json", "--out", out];
    const { code, stdout, stderr } = await start([main, ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const events = eventsOf(stdout);
    expect(events.map(({ event }) => event)).toEqual(["start", "epoch", "end"]);
    const end = events.at(-1) as Record<string, unknown>;
    expect(end).toMatchObject({ backend: "wasm", seed: 3, steps: 15, data: "cifar10/train", testImages: 10_000 });
    for (const key of ["testAccuracy", "trainSeconds", "imagesPerSecond", "epochs", "trainLoss"])
      expect(end[key]).toBeGreaterThan(0);
    for (const name of ["weights.safetensors", "report.html", "metrics.jsonl", "summary.json"])
      expect(readdirSync(out)).toContain(name);

    const again = await start([main, "eval", out, "--offline", "--json"]);
    expect(eventsOf(again.stdout)).toMatchObject([{ event: "eval", accuracy: end["testAccuracy"], images: 10_000 }]);
    const { code: verified } = await start([main, "data", "verify"]);
    expect(verified).toBe(0);
  },
  timeout,
);

test(
  "--fast-dev-run goes through every stage",
  async () => {
    const args = [main, "--synthetic", "--preset", "lenet5", "--fast-dev-run", "--json", "--out", newFolder()];
    const { code, stdout } = await start(args);
    expect(code).toBe(0);
    expect(eventsOf(stdout).map(({ event }) => event)).toEqual(["start", "epoch", "validation", "end"]);
  },
  timeout,
);

test(
  "--ui serves a page while it trains",
  async () => {
    const args = [main, "--synthetic", "--preset", "lenet5", "--epochs", "1", "--ui", "--out", newFolder()];
    let page: Promise<string> | undefined;
    const { code, stderr } = await start(args, (_, text, stream) => {
      const [, url] = /live page: (http:\/\/127\.0\.0\.1:\S+)/.exec(text) ?? [];
      if (stream === "stderr" && url !== undefined) page ??= fetch(url).then((response) => response.text());
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(await page).toContain("<html");
  },
  timeout,
);

describe("bad input", () => {
  test("a wrong flag: exit code 2, the nearest one named, nothing on standard output", async () => {
    const { code, stdout, stderr } = await start([main, "--epoch", "1"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("Did you mean --epochs?");
  });

  test("damaged data: exit code 3, the file named, the error in JSON too, and no run", async () => {
    const data = newFolder();
    mkdirSync(data);
    writeFileSync(join(data, "data_batch_1.bin"), "");
    truncateSync(join(data, "data_batch_1.bin"), 30_730_000);
    const out = newFolder();
    const { code, stdout, stderr } = await start([main, "--data", data, "--json", "--out", out]);
    expect(code).toBe(3);
    expect(stderr).toContain("data_batch_1.bin has sha256");
    expect(eventsOf(stdout)).toEqual([
      { event: "error", kind: "data", message: expect.stringContaining("data_batch_1.bin has sha256") },
    ]);
    expect(existsSync(out)).toBe(false);
  });

  test("a backend that is not there: exit code 4", async () => {
    const { code, stderr } = await start([main, "--synthetic", "--backend", "cpuu", "--out", newFolder()]);
    expect(code).toBe(4);
    expect(stderr).toContain("did you mean cpu?");
  });

  test("a file where the run should go: exit code 5", async () => {
    const out = newFolder();
    writeFileSync(out, "");
    const { code, stderr } = await start([main, "--synthetic", "--out", out]);
    expect(code).toBe(5);
    expect(stderr).toContain(`cannot write to the folder ${out}`);
  });

  test("a run that is not there: exit code 8, in JSON too", async () => {
    const { code, stdout } = await start([main, "--resume", newFolder(), "--json"]);
    expect(code).toBe(8);
    expect(eventsOf(stdout)).toMatchObject([{ event: "error", kind: "run" }]);
  });
});

const small = ["--synthetic", "--preset", "lenet5", "--json"];

const stepsIn = (run: string): number => {
  const file = join(run, "metrics.jsonl");
  return existsSync(file) ? readFileSync(file, "utf8").split('{"event":"step"').length - 1 : 0;
};

/** Once, when the run has so many steps behind it. */
const atStep = (run: string, steps: number, act: (child: ReturnType<typeof spawn>) => void): Watch => {
  let timer: ReturnType<typeof setInterval> | undefined;
  return (child) => {
    if (timer !== undefined) return;
    timer = setInterval(() => {
      if (stepsIn(run) < steps) return;
      clearInterval(timer);
      act(child);
    }, 5);
    child.once("close", () => clearInterval(timer));
  };
};

describe("stopped", () => {
  const endless = [...small, "--epochs", "1000"];

  // Windows has no signals: a process is ended.
  test.skipIf(process.platform === "win32").each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)(
    "by %s: finishes its step, saves, says how to go on, exit code %i",
    async (signal, expected) => {
      const out = newFolder();
      const stop = atStep(out, 1, (child) => child.kill(signal));
      const { code, stdout, stderr } = await start([main, ...endless, "--out", out], stop);
      expect(code).toBe(expected);
      expect(stderr).toBe(`${signal}: stopping after this step; once more to leave at once\n`);
      const last = eventsOf(stdout).at(-1) as Record<string, unknown>;
      expect(last).toMatchObject({
        event: "interrupted",
        weights: join(out, "weights.safetensors"),
        resume: `npm run cifar10 -- train --resume ${out}`,
      });
      const { tensors } = await loadSafetensors(last["weights"] as string);
      expect(await weightsSha256(tensors)).toBe(last["weightsSha256"]);
    },
    timeout,
  );

  test.skipIf(process.platform === "win32")(
    "twice: leaves at once, and nothing half-written",
    async () => {
      const out = newFolder();
      // The first step of this takes seconds, and is to be left in its middle.
      const args = [main, "--synthetic", "--json", "--preset", "fast70", "--batch-size", "1024", "--out", out];
      const { code, stdout, stderr } = await start(args, (child, text, stream) => {
        if (text.endsWith(stream === "stdout" ? "}\n" : "at once\n")) child.kill("SIGINT");
      });
      expect(code).toBe(130);
      expect(stderr).toBe("SIGINT: stopping after this step; once more to leave at once\n");
      expect(eventsOf(stdout).map(({ event }) => event)).toEqual(["start"]);
      expect(readdirSync(out)).not.toContain("weights.safetensors");
      // As many lines as were written by then, be it none, and no part of one.
      const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").split("\n");
      expect(lines.pop()).toBe("");
      for (const line of lines) expect(JSON.parse(line)).toHaveProperty("event");
    },
    timeout,
  );

  test(
    "by a reader that closes standard output: saves, exit code 141",
    async () => {
      const out = newFolder();
      const close = atStep(out, 1, (child) => child.stdout?.destroy());
      const { code, stderr } = await start([main, ...endless, "--out", out], close);
      expect(code).toBe(141);
      expect(stderr).toBe("standard output was closed: stopping\n");
      expect(readdirSync(out)).toContain("weights.safetensors");
    },
    timeout,
  );

  test.runIf(existsSync("/dev/full"))(
    "by a full disk under standard output: leaves a run to go on with, exit code 5",
    async () => {
      const out = newFolder();
      const full = openSync("/dev/full", "w");
      const { code, stderr } = await start([main, ...endless, "--out", out], undefined, full);
      closeSync(full);
      expect(code).toBe(5);
      expect(stderr).toContain("cannot write to standard output: ENOSPC");
      const resumed = await start([main, "--resume", out, "--max-time", "0.1s", "--json"]);
      expect(resumed.code).toBe(0);
    },
    timeout,
  );

  test.skipIf(process.platform === "win32")(
    "by kill -9, again and again: the weights come to what they would have been",
    async () => {
      const args = [...small, "--epochs", "1", "--batch-size", "32", "--save-every", "4"];
      const whole = await start([main, ...args, "--out", newFolder()]);
      const expected = eventsOf(whole.stdout).at(-1) as Record<string, unknown>;
      const out = newFolder();
      let steps = 0;
      for (let kills = 0; ; kills++) {
        const line = kills === 0 ? [main, ...args, "--out", out] : [main, "--resume", out, "--json"];
        // Every time a little further on, wherever that is.
        const kill = atStep(out, steps + 9, (child) => child.kill("SIGKILL"));
        const { code, stdout } = await start(line, kills < 3 ? kill : undefined);
        steps = stepsIn(out);
        if (code === null) continue;
        expect(code).toBe(0);
        expect(kills).toBeGreaterThan(0);
        expect(eventsOf(stdout).at(-1)).toMatchObject({
          event: "end",
          weightsSha256: expected["weightsSha256"],
          testAccuracy: expected["testAccuracy"],
          trainLoss: expected["trainLoss"],
        });
        return;
      }
    },
    2 * timeout,
  );
});
