import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { exitCodes } from "./exit-codes.js";
import { parseOptions } from "./options.js";

const parse = (...args: string[]) => {
  const said = { out: "", err: "" };
  const output = {
    out: (text: string) => {
      said.out += text;
    },
    err: (text: string) => {
      said.err += text;
    },
  };
  try {
    return { options: parseOptions(args, output), said };
  } catch (error) {
    return { error, said };
  }
};

describe("the command line", () => {
  test("has defaults", () => {
    expect(parse().options).toEqual({
      passes: 20,
      seed: 0,
      head: "rbf",
      images: undefined,
      data: undefined,
      offline: false,
      out: undefined,
    });
  });

  test("is read", () => {
    const args = "--passes 3 --seed 7 --head softmax --images 500 --data a/b --offline --out w.safetensors";
    expect(parse(...args.split(" ")).options).toEqual({
      passes: 3,
      seed: 7,
      head: "softmax",
      images: 500,
      data: "a/b",
      offline: true,
      out: "w.safetensors",
    });
  });

  test.each([
    [["--passes", "0"], "Expected an integer from 1 to 20"],
    [["--passes", "21"], "Expected an integer from 1 to 20"],
    [["--seed", "-1"], "Expected an integer from 0 to 2^53 - 1"],
    [["--images", "60001"], "Expected an integer from 1 to 60000"],
    [["--head", "linear"], "Allowed choices are rbf, softmax"],
    [["--out", " "], "Expected a path"],
    [["--epochs", "3"], "unknown option '--epochs'"],
    [["mnist"], "too many arguments"],
  ])("refuses %j", (args, message) => {
    const { error, said } = parse(...args);
    expect(error).toBeInstanceOf(CommanderError);
    expect((error as CommanderError).exitCode).not.toBe(0);
    expect(said.err).toContain(message);
    expect(said.err).toContain("--help lists all options");
  });

  test("explains itself, with all exit codes", () => {
    const { error, said } = parse("--help");
    expect((error as CommanderError).exitCode).toBe(0);
    for (const { code, meaning } of Object.values(exitCodes)) expect(said.out).toContain(`${code}  ${meaning}`);
    expect(said.err).toBe("");
  });
});
