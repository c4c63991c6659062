import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { runCommand } from "../testing/command.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-experiment-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const quick = ["--backend", "cpu", "--epochs", `${2 / 256}`, "--batch-size", "8", "--synthetic"];

describe("experiment", () => {
  test("trains each preset in a folder of its own, and compares them on a page", async () => {
    const out = join(scratch, "both");
    const { code, events, texts } = await runCommand(["experiment", ...quick, "--out", out]);
    expect(code).toBe(0);
    expect(readdirSync(out).sort()).toEqual(["ann", "comparison.html", "lenet5"]);
    const [ann, lenet5] = events.filter(({ event }) => event === "end");
    const last = events.at(-1) as unknown as { event: string; runs: { run: string; lastAccuracy: number }[] };
    expect(last.event).toBe("comparison");
    expect(last.runs).toMatchObject([
      { run: "ann", lastAccuracy: ann?.["testAccuracy"] },
      { run: "lenet5", lastAccuracy: lenet5?.["testAccuracy"] },
    ]);
    expect(texts.at(-1)).toContain(join(out, "comparison.html"));
    expect(readFileSync(join(out, "comparison.html"), "utf8")).toContain("lenet5");
  }, 60_000);

  test("that was stopped is gone on with by the same command", async () => {
    const out = join(scratch, "stopped");
    const args = ["experiment", ...quick, "--out", out];
    const abort = new AbortController();
    const stopped = await runCommand(args, {
      signal: abort.signal,
      onEvent: ({ event, preset }) => {
        if (event === "start" && preset === "lenet5") abort.abort();
      },
    });
    expect(stopped.events.at(-1)).toMatchObject({ event: "interrupted", preset: "lenet5" });
    expect(stopped.notices.at(-1)).toContain(`--out ${out}`);
    const { events } = await runCommand(args);
    expect(events.filter(({ event }) => event === "start")).toMatchObject([{ preset: "lenet5" }]);
    expect(events.at(-1)).toMatchObject({ event: "comparison", runs: [{ run: "ann" }, { run: "lenet5" }] });
  }, 60_000);

  test.each([
    [["ann"], "two different presets or more, not ann"],
    [["ann", "ann"], "two different presets or more, not ann ann"],
    [["ann", "lenet"], "did you mean lenet5?"],
    [["--preset", "ann"], "presets are named without --preset"],
  ])("%j: exit code 2", async (args, says) => {
    const { code, message } = await runCommand(["experiment", ...args, "--out", join(scratch, "refused")]);
    expect({ code, message }).toEqual({ code: 2, message: expect.stringContaining(says) });
    expect(readdirSync(scratch)).not.toContain("refused");
  });
});
