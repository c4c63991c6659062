import { describe, expect, test } from "vitest";
import { CommandLineExit } from "./cli.js";
import { chooseCommand, parseCommandLine } from "./command-line.js";
import { commandNames, summaries } from "./commands/names.js";
import { configFlags, longName } from "./config/flags.js";
import { presetNames } from "./config/presets.js";
import { exitCodes } from "./exit-codes.js";
import { runCommand } from "./testing/command.js";

describe("which command", () => {
  test.each([
    [[], "train", []],
    [["--seed", "1"], "train", ["--seed", "1"]],
    [["train", "--seed", "1"], "train", ["--seed", "1"]],
    [["eval", "x"], "eval", ["x"]],
    [["help", "eval"], "eval", ["--help"]],
    [["help"], "train", ["--help"]],
    [["--help"], "train", ["--help"]],
  ] as const)("%j is %s", (args, name, rest) => {
    expect(chooseCommand(args)).toEqual({ name, args: rest });
  });

  test("none", () => {
    const said: string[] = [];
    const output = { out: () => {}, err: (text: string) => void said.push(text) };
    expect(() => chooseCommand(["modls"], output)).toThrow(CommandLineExit);
    expect(said.join("")).toContain("Did you mean models?");
  });
});

test.each(commandNames)("%s has help with an example and every exit code", async (name) => {
  const { code, out, err } = await runCommand([name, "--help"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/Examples:\n {2}npm run (--silent )?cifar10/);
  if (name !== "train") expect(out).toContain(`npm run cifar10 -- ${name}`);
  for (const exit of Object.values(exitCodes)) expect(out).toContain(`${exit.code}  ${exit.meaning}`);
});

test("help without a command names all commands, presets and settings", async () => {
  const { out } = await runCommand(["--help"]);
  expect(out).toContain("Usage: npm run cifar10 -- [options]");
  for (const name of commandNames) expect(out).toContain(summaries[name]);
  for (const name of presetNames) expect(out).toContain(name);
  for (const flag of configFlags) expect(out).toContain(longName(flag));
});

describe("train", () => {
  const parse = async (line: string, env: Record<string, string> = {}) =>
    (await parseCommandLine(line === "" ? [] : line.split(" "), env)).options as unknown as Record<string, unknown>;

  test("the defaults", async () => {
    expect(await parse("")).toMatchObject({
      config: { preset: "fast70", backend: "auto", epochs: 2, seed: 0, data: { source: "cifar10", offline: false } },
      seeds: 1,
      json: false,
      ui: false,
      fastDevRun: false,
      profile: false,
    });
  });

  test("every option reaches the config", async () => {
    const line =
      "--preset fast70 --backend cpu --epochs 1.5 --batch-size 64 --views 6 --seed 9007199254740991 --data d --offline " +
      "--max-time 2m --optimizer adam --lr 0.1 --schedule cosine --keep 7 --out o --json --set epochs=3";
    expect(await parse(line)).toMatchObject({
      config: {
        epochs: 3,
        backend: "cpu",
        batchSize: 64,
        views: 6,
        seed: Number.MAX_SAFE_INTEGER,
        maxTime: 120,
        data: { folder: "d", offline: true },
        optimizer: { name: "adam", lr: 0.1 },
        schedule: { name: "cosine" },
        checkpoint: { keep: 7 },
      },
      out: "o",
      json: true,
    });
  });

  test("what is parsed can be sent to a thread", async () => {
    const options = await parse("--preset air94 --seeds 3");
    expect(structuredClone(options)).toEqual(options);
  });

  test.each(["json", "offline"])("--%s is an option of npm too, and not ours where npm has it", async (name) => {
    expect((await parse("", { [`npm_config_${name}`]: "true" }))["json"]).toBe(false);
  });
});
