import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { exitCodes } from "./exit-codes.js";
import { badInputs } from "./testing/bad-inputs.js";
import { runCommand } from "./testing/command.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-bad-"));
afterAll(() => rmSync(scratch, { recursive: true }));

let count = 0;

/** `--out` belongs to training alone, and some lines have one of their own. */
const trains = (args: readonly string[]): boolean =>
  (args.length === 0 || (args[0] as string).startsWith("-")) &&
  !args.some((word) => /^--(out|resume|seedz|presett)/.test(word));

describe("refused with the documented exit code, one clear message, and nothing written:", () => {
  test.each(
    badInputs.map((input) => {
      const variables = Object.entries(input.env ?? {}).map(([name, value]) => `${name}=${value}`);
      return [[...variables, ...input.args, input.config ?? ""].join(" "), input] as const;
    }),
  )("%s", async (_, { args, env, config, exit, says }) => {
    const folder = join(scratch, `${count++}`);
    mkdirSync(folder);
    const file = join(scratch, `${count}.json`);
    if (config !== undefined) writeFileSync(file, config);
    const whole = [
      ...(trains(args) ? ["--out", join(folder, "run")] : []),
      ...(config === undefined ? [] : ["--config", file]),
      ...args,
    ];
    const told = await runCommand(whole, { ...(env && { env }) });
    expect(told.message).toContain(says);
    expect(told.code).toBe(exitCodes[exit].code);
    // What went wrong is said once, and results are no place for it.
    expect(told.message.split("error:").length).toBeLessThanOrEqual(2);
    expect(told.events).toEqual([]);
    expect(told.out).toBe("");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("and there are two hundred of them", () => {
    expect(badInputs.length).toBeGreaterThanOrEqual(200);
  });
});
