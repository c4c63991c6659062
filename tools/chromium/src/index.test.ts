import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BrowserError, findChromium, launchChromium } from "./index.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-chromium-"));
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

describe("findChromium", () => {
  test("takes what is named, else the first of the usual ones", async () => {
    const program = join(folder, "chromium");
    await writeFile(program, "");
    await chmod(program, 0o755);
    expect(await findChromium(program, [])).toBe(program);
    expect(await findChromium("", ["/does/not/exist", program])).toBe(program);
  });

  test("a named program that is not there is an error, not a reason to take another", async () => {
    await expect(findChromium("/does/not/exist", [process.execPath])).rejects.toThrow(
      new BrowserError("STRIATE_CHROMIUM is /does/not/exist, which is no program that can be run"),
    );
  });

  test("where there is none, it says what helps", async () => {
    const run = findChromium("", ["/does/not/exist"]);
    await expect(run).rejects.toThrow(BrowserError);
    await expect(run).rejects.toThrow(/install one .*STRIATE_CHROMIUM.*Looked for \/does\/not\/exist/);
  });
});

test("a program that is no Chromium is an error with what it said", async () => {
  const program = join(folder, "no-chromium");
  await writeFile(program, "#!/bin/sh\necho 'libnss3.so: cannot open' >&2\nexit 1\n");
  await chmod(program, 0o755);
  const launched = launchChromium(program);
  await expect(launched).rejects.toThrow(BrowserError);
  await expect(launched).rejects.toThrow(`${program} cannot be started: libnss3.so: cannot open`);
});
