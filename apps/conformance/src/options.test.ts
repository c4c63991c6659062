import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CommandLineExit, parseOptions } from "./options.js";

const said = { out: "", err: "" };

beforeEach(() => {
  said.out = said.err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said.out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said.err += String(text);
    return true;
  });
  vi.stubEnv("STRIATE_VECTORS", undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const exitOf = (...args: string[]): number | undefined => {
  try {
    parseOptions(args);
    return undefined;
  } catch (error) {
    if (error instanceof CommandLineExit) return error.exitCode;
    throw error;
  }
};

describe("parseOptions", () => {
  test("has defaults for all", () => {
    expect(parseOptions([])).toEqual({
      backend: "auto",
      in: "node",
      isolation: true,
      timeout: 60,
    });
  });

  test("takes several groups and patterns", () => {
    const options = parseOptions([
      "--backend",
      "cpu",
      "--group",
      "ops",
      "gradients",
      "--filter",
      "conv2d",
      "matmul",
      "--json",
      "r.json",
    ]);
    expect(options).toMatchObject({
      backend: "cpu",
      group: ["ops", "gradients"],
      filter: ["conv2d", "matmul"],
      json: "r.json",
    });
  });

  test("takes a place and a share", () => {
    const options = parseOptions(["--in", "chromium", "--no-isolation", "--shard", "2/8"]);
    expect(options).toMatchObject({ in: "chromium", isolation: false, shard: { index: 2, count: 8 } });
  });

  test("the environment may name the vectors, the command line wins", () => {
    vi.stubEnv("STRIATE_VECTORS", "/elsewhere");
    expect(parseOptions([]).vectors).toBe("/elsewhere");
    expect(parseOptions(["--vectors", "here"]).vectors).toBe("here");
  });

  test("a wrong flag names the nearest right one", () => {
    expect(exitOf("--backned", "cpu")).toBe(2);
    expect(said.err).toContain("Did you mean --backend?");
  });

  test.each([
    [["--group", "op"], "Allowed choices are contract, ops"],
    [["--timeout", "0"], "Expected a number above 0."],
    [["--timeout", "soon"], "Expected a number above 0."],
    [["--training-steps", "1.5"], "Expected a positive integer."],
    [["--networks", "resnet"], "Allowed choices are alexnet, "],
    [["--precision", "exact"], "Allowed choices are ieee, wgsl, glsl"],
    [["--json"], "argument missing"],
    [["--in", "firefox"], "Allowed choices are node, chromium."],
    [["--shard", "3/2"], "Expected i/n with 1 <= i <= n"],
    [["--shard", "half"], "Expected i/n with 1 <= i <= n"],
    [["--no-isolation"], "it needs --in chromium"],
    [["stray"], "too many arguments"],
  ])("refuses %j", (args, message) => {
    expect(exitOf(...args)).toBe(2);
    expect(said.err).toContain(message);
  });

  test("help lists groups, exit codes and examples, and is no error", () => {
    expect(exitOf("--help")).toBe(0);
    for (const text of ["Groups:", "Exit codes:", "Examples:", "--vectors <folder>"]) expect(said.out).toContain(text);
  });
});
