import { describe, expect, test } from "vitest";
import { exitCodes } from "./exit-codes.js";
import { CommandLineExit, type Options, parseOptions } from "./options.js";
import { presets } from "./recipes.js";

/** What a command line comes to: options, or an exit code with what was said. */
const parse = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
  let out = "";
  let err = "";
  const output = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
  };
  try {
    return { options: parseOptions(args, env, output), code: null, out, err };
  } catch (error) {
    if (!(error instanceof CommandLineExit)) throw error;
    return { options: null, code: error.exitCode, out, err };
  }
};

describe("parseOptions", () => {
  test("the defaults", () => {
    const expected: Options = {
      preset: "fast70",
      backend: "auto",
      epochs: undefined,
      batchSize: undefined,
      views: undefined,
      seed: 0,
      data: undefined,
      offline: false,
      synthetic: false,
      out: "runs",
      json: false,
    };
    expect(parse([]).options).toEqual(expected);
  });

  test("every option", () => {
    const line =
      "--preset fast70 --backend cpu --epochs 1.5 --batch-size 64 --views 6 --seed 9007199254740991 --data d --offline --out o --json";
    expect(parse(line.split(" ")).options).toEqual({
      preset: "fast70",
      backend: "cpu",
      epochs: 1.5,
      batchSize: 64,
      views: 6,
      seed: Number.MAX_SAFE_INTEGER,
      data: "d",
      offline: true,
      synthetic: false,
      out: "o",
      json: true,
    });
    expect(parse(["--synthetic"]).options?.synthetic).toBe(true);
  });

  test.each([
    ["--presett ann", "Did you mean --preset?"],
    ["--seeds 1", "Did you mean --seed?"],
    ["--preset fats70", "Did you mean fast70? The presets are ann, lenet5, "],
    ["--preset LeNet-5", "Did you mean lenet5? The presets are "],
    ["--preset resnet", "The presets are ann, lenet5, "],
    ["--preset constructor", "The presets are ann, lenet5, "],
    ["--epochs 0", "Expected a number above 0"],
    ["--epochs -1", "Expected a number above 0"],
    ["--epochs many", "Expected a number above 0"],
    ["--epochs Infinity", "Expected a number above 0"],
    ["--epochs=", "Expected a number above 0"],
    ["--epochs", "argument missing"],
    ["--batch-size 1.5", "Expected a positive integer"],
    ["--batch-size 0", "Expected a positive integer"],
    ["--seed -1", "Expected an integer from 0"],
    ["--seed 9007199254740992", "Expected an integer from 0"],
    ["--views 2", "Expected 1 or 6"],
    ["--data=", "Expected a folder"],
    ["--out=", "Expected a folder"],
    ["--synthetic --data d", "cannot be used with option '--data"],
    ["fast70", "too many arguments"],
  ])("%s is refused with a hint", (line, hint) => {
    const { code, out, err } = parse(line.split(" "));
    expect(code).toBe(exitCodes.usage.code);
    expect(err).toContain(hint);
    expect(err).toContain("--help lists all options");
    expect(out).toBe("");
  });

  test.each(["preset", "batch-size", "synthetic", "out"])("an --%s that npm kept for itself is missed", (name) => {
    const { code, err } = parse([], { [`npm_config_${name.replace("-", "_")}`]: "x" });
    expect(code).toBe(exitCodes.usage.code);
    expect(err).toContain(`npm run cifar10 -- --${name}`);
  });

  test.each(["json", "offline"])("--%s is an option of npm too, and not ours where npm has it", (name) => {
    expect(parse([], { [`npm_config_${name}`]: "true" }).options).not.toBeNull();
  });

  test("the help names every preset and every exit code", () => {
    const { code, out, err } = parse(["--help"]);
    expect(code).toBe(exitCodes.ok.code);
    expect(err).toBe("");
    for (const [name, { summary }] of Object.entries(presets)) {
      expect(out).toContain(name);
      expect(out).toContain(summary);
    }
    for (const exit of Object.values(exitCodes)) expect(out).toContain(`${exit.code}  ${exit.meaning}`);
  });
});
