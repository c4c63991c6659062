import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, delegate } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import type { KnownFailure } from "./known-failures.js";
import { type ConformanceOptions, runConformance } from "./run.js";

const one = "ops:relu/17#f32";
const three = ["ops:relu/1#f32", "ops:relu/16#f32", one];

const run = (options: Partial<ConformanceOptions> = {}) =>
  runConformance({ name: "test", create: createCpuBackend, filter: one, ...options });

const wrongRelu = async (): Promise<Backend> => {
  const good = await createCpuBackend();
  return {
    ...delegate(good),
    kernels: {
      ...good.kernels,
      unary: (call) => good.kernels.fill({ op: "fill", inputs: [], outputs: call.outputs, attrs: { value: 1 } }),
    },
  };
};

const known = (entry: Partial<KnownFailure> = {}): KnownFailure[] => [
  { pattern: "ops:relu/*", reason: "the driver flushes", expires: "2026-06-30", ...entry },
];
const before = new Date("2026-06-30T12:00:00Z");
const after = new Date("2026-07-01T12:00:00Z");

describe("runConformance", () => {
  test("reports every case, what the backend is, and the counts", async () => {
    const report = await run({ filter: three });
    expect(report.summary).toEqual({ passed: 3, failed: 0, skipped: 0 });
    expect(report.results.map(({ id }) => id)).toEqual(three);
    expect(report.complete).toBe(true);
    expect(report.backend).toMatchObject({ name: "test", nan: "propagates", deterministic: true, syncRead: true });
    expect(report.backend.kernels).toContain("conv2d");
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test("a failure says which element, what came, what was expected and what was allowed", async () => {
    const { results } = await run({ create: wrongRelu });
    expect(results[0]).toMatchObject({ id: one, status: "failed", op: "relu", dtype: "float32", column: "forward" });
    expect(results[0]?.reason).toMatch(
      /^output 0 \[\d+\] is 1, expected .* \(error .*, allowed 0\); \d+ of 17 elements are off$/,
    );
  });

  test("cases can be chosen by group and by pattern", async () => {
    const groups = await run({ filter: "relu/17#f32", groups: ["ops", "leaks"] });
    expect(groups.results.map(({ id }) => id)).toEqual([one, "leaks:relu/17#f32"]);
    const none = await run({ filter: "no such case" });
    expect(none.results).toEqual([]);
  });

  test("a dtype that the backend lacks is one skip an op, with the reason", async () => {
    const { results } = await run({ filter: "ops:relu/*#f16" });
    expect(results).toEqual([
      expect.objectContaining({
        id: "ops:relu/*#f16",
        status: "skipped",
        reason: "caps.dtypes: the backend has no float16",
      }),
    ]);
  });

  test("a backend that declares NaN unspecified skips the cases that are about it", async () => {
    const create = async (): Promise<Backend> => {
      const good = await createCpuBackend();
      return { ...delegate(good), caps: { ...good.caps, nan: "unspecified" } };
    };
    const { results } = await run({ create, filter: ["ops:max/nan#f32", "ops:max/infinite#f32"] });
    expect(results.map(({ status }) => status)).toEqual(["skipped", "passed"]);
  });

  test("a read that never comes is a failed case, and the next case has a fresh backend", async () => {
    let made = 0;
    const create = async (): Promise<Backend> => {
      const good = await createCpuBackend();
      return made++ === 0 ? { ...delegate(good), read: () => new Promise(() => {}) } : good;
    };
    const { results } = await run({ create, filter: three, timeout: 1000 });
    expect(results.map(({ status }) => status)).toEqual(["failed", "passed", "passed"]);
    expect(results[0]?.reason).toBe("hangs: no result after 1 s");
  });

  test("a kernel that throws is a failed case with its message", async () => {
    const create = async (): Promise<Backend> => {
      const good = await createCpuBackend();
      const unary = (): never => {
        throw new RangeError("out of registers");
      };
      return { ...delegate(good), kernels: { ...good.kernels, unary } };
    };
    const { results } = await run({ create });
    expect(results[0]?.reason).toContain("out of registers");
  });

  test("broken storage rules fail the case in which they are seen", async () => {
    const create = async (): Promise<Backend> => {
      const good = await createCpuBackend();
      const storage = good.alloc({ shape: [17], dtype: "float32" });
      return { ...delegate(good), alloc: () => storage };
    };
    const { results } = await run({ create });
    expect(results[0]?.reason).toBe("alloc returned a storage that is in use");
  });

  test("an abort ends the run after the current case", async () => {
    const abort = new AbortController();
    const report = await run({ filter: three, signal: abort.signal, onResult: () => abort.abort() });
    expect(report.results).toHaveLength(1);
    expect(report.complete).toBe(false);
  });

  test("a run can go on behind a case", async () => {
    const report = await run({ filter: three, startAt: 2 });
    expect(report.results.map(({ id }) => id)).toEqual([one]);
    expect(report.complete).toBe(true);
  });

  test("a backend that cannot be made is the caller's error", async () => {
    const create = async (): Promise<Backend> => {
      throw new Error("no device");
    };
    await expect(run({ create })).rejects.toThrow("no device");
  });
});

describe("known failures", () => {
  test("count as skipped, with the reason", async () => {
    const { results } = await run({ create: wrongRelu, knownFailures: known(), now: before });
    expect(results[0]).toMatchObject({
      status: "skipped",
      knownFailure: "ops:relu/*",
      reason: "known failure: the driver flushes",
    });
  });

  test("that pass fail the run", async () => {
    const { results } = await run({ knownFailures: known(), now: before });
    expect(results[0]).toMatchObject({ status: "failed", reason: expect.stringContaining("remove the entry") });
  });

  test("count as failures once they have expired", async () => {
    const { results } = await run({ create: wrongRelu, knownFailures: known(), now: after });
    expect(results[0]).toMatchObject({ status: "failed", reason: expect.stringContaining("expired on 2026-06-30") });
  });

  test.each([
    [{ expires: "soon" }, /expires is soon, expected a date/],
    [{ expires: "2026-13-01" }, /expires is 2026-13-01, expected a date/],
    [{ reason: "" }, /reason is "", expected text/],
  ])("are refused with %o", async (entry, message) => {
    await expect(run({ knownFailures: known(entry) })).rejects.toThrow(message);
  });
});
