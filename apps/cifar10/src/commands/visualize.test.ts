import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode, encode } from "fast-png";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../testing/command.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-visualize-"));
const run = join(scratch, "run");
const picture = join(scratch, "picture.png");
afterAll(() => rmSync(scratch, { recursive: true }));

beforeAll(async () => {
  const data = Uint8Array.from({ length: 40 * 50 * 3 }, (_, i) => (i * 37) % 256);
  writeFileSync(picture, encode({ width: 40, height: 50, channels: 3, data }));
  const quick = ["--backend", "cpu", "--epochs", `${2 / 256}`, "--batch-size", "8", "--synthetic"];
  const { code } = await runCommand([...quick, "--preset", "fast70", "--out", run]);
  expect(code).toBe(0);
}, 120_000);

const visualize = (...args: string[]) => runCommand(["visualize", picture, "--run", run, "--backend", "cpu", ...args]);

const names = ["deconvnet", "features", "filters", "grad-cam", "guided", "input", "occlusion", "saliency"];

describe("visualize", () => {
  test("writes a PNG file of each kind, into the run's folder by default", async () => {
    const { code, events } = await visualize();
    expect(code).toBe(0);
    expect(events.map(({ what }) => what).sort()).toEqual(names);
    const folder = join(run, "pictures", "picture");
    expect(readdirSync(folder).sort()).toEqual(names.map((name) => `${name}.png`));
    for (const { file } of events) {
      const { data } = decode(readFileSync(file as string));
      // Something is drawn: not one grey.
      expect(new Set(data).size).toBeGreaterThan(2);
    }
  });

  test("looks for the class and at the layer that are named", async () => {
    const out = join(scratch, "named");
    const { code, events } = await visualize("--out", out, "--class", "pattern 4", "--layer", "group1.conv1");
    expect(code).toBe(0);
    expect(events.every(({ layer }) => layer === "group1.conv1")).toBe(true);
    expect(readdirSync(out)).toHaveLength(names.length);
  });

  test.each([
    [["--layer", "group9"], "--layer group9: no feature maps come from there; they come from whiten"],
    [["--class", "unicorn"], "--class unicorn is none of pattern 0"],
  ])("%j: exit code 2, and nothing is written", async (args, says) => {
    const out = join(scratch, "refused");
    const { code, message } = await visualize("--out", out, ...args);
    expect({ code, message }).toEqual({ code: 2, message: expect.stringContaining(says) });
    expect(existsSync(out)).toBe(false);
  });

  test("a picture that is not there: exit code 3", async () => {
    const { code, message } = await runCommand(["visualize", join(scratch, "no.png"), "--run", run]);
    expect({ code, message }).toEqual({ code: 3, message: expect.stringContaining("no.png") });
  });
});
