import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { OutputError, prepareOutput, prepareRunFolder } from "./output.js";
import { RunError } from "./runs.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-output-"));
afterAll(() => rmSync(scratch, { recursive: true }));

describe("prepareOutput", () => {
  test("makes the folder, and leaves nothing in it", async () => {
    const folder = join(scratch, "a/b/c");
    await prepareOutput(folder);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("takes a folder that is there", async () => {
    mkdirSync(join(scratch, "there"));
    writeFileSync(join(scratch, "there", "x"), "");
    await prepareOutput(join(scratch, "there"));
    expect(readdirSync(join(scratch, "there"))).toEqual(["x"]);
  });

  test.each(["file", "file/below"])("refuses %s, where a file is in the way", async (name) => {
    writeFileSync(join(scratch, "file"), "");
    await expect(prepareOutput(join(scratch, name))).rejects.toThrow(OutputError);
    await expect(prepareOutput(join(scratch, name))).rejects.toThrow(
      /cannot write to the folder .*file.*ENOTDIR|EEXIST/,
    );
  });

  // There mkdir says ENOENT for a folder whose parent exists, which sends `recursive` round in circles.
  test.runIf(existsSync("/proc/self"))("refuses /proc", async () => {
    await expect(prepareOutput("/proc/none/here")).rejects.toThrow(OutputError);
  });
});

describe("prepareRunFolder", () => {
  test("takes an empty folder and one that is not there, and makes nothing", async () => {
    mkdirSync(join(scratch, "empty"));
    await prepareRunFolder(join(scratch, "empty"));
    await prepareRunFolder(join(scratch, "new/run"));
    expect(readdirSync(join(scratch, "empty"))).toEqual([]);
    expect(readdirSync(join(scratch, "new"))).toEqual([]);
  });

  test("refuses a folder with something in it, and a file", async () => {
    mkdirSync(join(scratch, "full"));
    writeFileSync(join(scratch, "full", "x"), "");
    await expect(prepareRunFolder(join(scratch, "full"))).rejects.toThrow(RunError);
    await expect(prepareRunFolder(join(scratch, "full", "x"))).rejects.toThrow(OutputError);
  });
});
