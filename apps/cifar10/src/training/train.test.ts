import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, BackendLostError } from "@striate/core";
import { afterAll, expect, test } from "vitest";
import { resolveConfig, settingFromAssignment } from "../config/resolve.js";
import type { Event } from "../reporter.js";
import { trainOnce } from "./train.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-lost-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Is lost at its `calls`-th matrix product. */
const losing = (inner: Backend, calls: number): Backend => {
  let left = calls;
  return {
    ...inner,
    kernels: {
      ...inner.kernels,
      matmul: (call) => {
        if (left-- <= 0) throw new BackendLostError("cpu", "unknown", "pulled out");
        inner.kernels.matmul(call);
      },
    },
  };
};

const run = async (backend: Backend, name: string) => {
  const events: Event[] = [];
  const notices: string[] = [];
  const settings = ["backend=cpu", "data.source=synthetic", `epochs=${6 / 256}`, "batchSize=8", "checkpoint.every=2"];
  const config = resolveConfig({ preset: "lenet5", flags: settings.map(settingFromAssignment) });
  const out = join(scratch, name);
  const outcome = await trainOnce({ config, out }, backend, {
    signal: new AbortController().signal,
    reporter: {
      event: (event) => void events.push(event),
      notice: (text) => void notices.push(text),
      progress: () => {},
    },
  });
  return { outcome, end: events.at(-1) as Event, notices, out };
};

test("a run whose backend is lost goes on with a new one, and comes to the same weights", async () => {
  const whole = await run(await createCpuBackend(), "whole");
  // Three linear layers: three products forward and six or five back, a step.
  const lost = await run(losing(await createCpuBackend(), 40), "lost");
  expect(lost.notices.join()).toMatch(/pulled out.*going on after 4 steps on a new backend/);
  expect(lost.end["weightsSha256"]).toBe(whole.end["weightsSha256"]);
  expect(lost.end["testAccuracy"]).toBe(whole.end["testAccuracy"]);
  const metrics = readFileSync(join(lost.out, "metrics.jsonl"), "utf8");
  expect(metrics.split('"event":"step"')).toHaveLength(7);
  expect(metrics).toContain('"event":"resume"');
});
