import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { expectReplaceable, OutputError, prepareOutput } from "./output.js";

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

describe("expectReplaceable", () => {
  test("a file, or none, can be replaced", async () => {
    writeFileSync(join(scratch, "old"), "");
    await expectReplaceable(join(scratch, "old"));
    await expectReplaceable(join(scratch, "none"));
  });

  test("a folder cannot", async () => {
    mkdirSync(join(scratch, "net.safetensors"));
    await expect(expectReplaceable(join(scratch, "net.safetensors"))).rejects.toThrow(/is a folder/);
  });
});
