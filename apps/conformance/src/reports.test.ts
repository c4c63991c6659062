import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConformanceReport } from "@striate/conformance";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Options } from "./options.js";
import { expectWritable, OutputError, writeReports } from "./reports.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-reports-"));
});
afterEach(() => rm(folder, { recursive: true }));

const options = (paths: Partial<Options>): Options =>
  ({ backend: "cpu", in: "node", isolation: true, precision: "ieee", timeout: 60, ...paths }) as Options;

const report: ConformanceReport = {
  schemaVersion: 1,
  suite: "@striate/conformance",
  backend: { name: "cpu", dtypes: ["float32"], nan: "propagates", deterministic: true, syncRead: true, kernels: [] },
  complete: true,
  summary: { passed: 1, failed: 0, skipped: 0 },
  results: [{ id: "contract:interface", group: "contract", status: "passed", milliseconds: 1 }],
};

describe("reports", () => {
  test("each format goes to its file, and nothing else is left", async () => {
    const paths = { json: join(folder, "r.json"), markdown: join(folder, "r.md"), html: join(folder, "r.html") };
    await expectWritable(options(paths));
    await writeReports(options(paths), report);
    expect((await readdir(folder)).sort()).toEqual(["r.html", "r.json", "r.md"]);
    expect(JSON.parse(await readFile(paths.json, "utf8"))).toEqual(report);
    expect(await readFile(paths.markdown, "utf8")).toContain("1 passed, 0 failed, 0 skipped");
    expect(await readFile(paths.html, "utf8")).toContain("1 passed, 0 failed, 0 skipped");
  });

  test("a missing folder is told before the run", async () => {
    await expect(expectWritable(options({ json: join(folder, "none", "r.json") }))).rejects.toThrow(OutputError);
  });

  test("so is a folder in place of the file", async () => {
    await mkdir(join(folder, "r.html"));
    await expect(expectWritable(options({ html: join(folder, "r.html") }))).rejects.toThrow(
      /is a folder, expected a file/,
    );
  });

  test("a write that fails leaves nothing half-written", async () => {
    await mkdir(join(folder, "r.json"));
    await expect(writeReports(options({ json: join(folder, "r.json") }), report)).rejects.toThrow(OutputError);
    expect(await readdir(folder)).toEqual(["r.json"]);
  });
});
