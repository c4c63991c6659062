import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { type Options, parseOptions } from "./options.js";
import type { Workload } from "./workloads.js";

const workloads: readonly Workload[] = [
  { name: "matmul 8", problem: { op: "matmul", size: 8 } },
  { name: "matmul 16", problem: { op: "matmul", size: 16 } },
  { name: "train lenet5-rgb", problem: { op: "train", network: "lenet5-rgb", batch: 1, image: 32 } },
];

const available = { peers: ["ours", "theirs", "slow"], defaultPeers: ["ours", "theirs"], workloads };

const parse = (...args: string[]): Options & { text: string } => {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  const options = parseOptions(args, available, { out: write, err: write });
  return { ...options, text };
};

/** What is said about wrong options, and the exit code. */
const complaint = (...args: string[]): { text: string; exitCode: number } => {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  try {
    parseOptions(args, available, { out: write, err: write });
  } catch (error) {
    if (error instanceof CommanderError) return { text, exitCode: error.exitCode };
    throw error;
  }
  throw new Error(`${args.join(" ")} was accepted`);
};

const namesOf = (options: Options): string[] => options.workloads.map(({ name }) => name);

describe("parseOptions", () => {
  test("without options, the usual peers on all workloads", () => {
    const options = parse();
    expect(options).toMatchObject({
      peers: ["ours", "theirs"],
      rounds: 5,
      maxTime: 30,
      json: null,
      cpuTime: false,
      list: false,
    });
    expect(options.workloads).toEqual(workloads);
  });

  test("--quick takes fewer rounds and less time, and gives way to exact values", () => {
    expect(parse("--quick")).toMatchObject({ rounds: 3, maxTime: 6 });
    expect(parse("--quick", "--rounds", "9")).toMatchObject({ rounds: 9, maxTime: 6 });
    expect(parse("--max-time", "0.5", "--quick")).toMatchObject({ rounds: 3, maxTime: 0.5 });
  });

  test("--filter keeps names that contain one of the texts, in the table's order", () => {
    expect(namesOf(parse("--filter", "matmul"))).toEqual(["matmul 8", "matmul 16"]);
    expect(namesOf(parse("-f", "lenet, matmul 8"))).toEqual(["matmul 8", "train lenet5-rgb"]);
    expect(namesOf(parse("-f", "lenet", "-f", "16"))).toEqual(["matmul 16", "train lenet5-rgb"]);
  });

  test("--peer adds to the usual peers, or to those that are named", () => {
    expect(parse("--peer", "slow")).toMatchObject({ peers: ["ours", "theirs", "slow"], peersNamed: true });
    expect(parse("--peers", "slow", "--peer", "ours")).toMatchObject({ peers: ["slow", "ours"] });
  });

  test("--peers keeps its order and drops repetitions", () => {
    expect(parse("--peers", "slow,ours,slow")).toMatchObject({ peers: ["slow", "ours"], peersNamed: true });
  });

  test("--json, --cpu-time and --list", () => {
    expect(parse("--json", "-", "--cpu-time", "--list")).toMatchObject({ json: "-", cpuTime: true, list: true });
    expect(parse("-j", "out.json")).toMatchObject({ json: "out.json" });
  });

  test("--help has examples and exit codes, and is no failure", () => {
    const { text, exitCode } = complaint("--help");
    expect(exitCode).toBe(0);
    for (const part of ["--max-time <seconds>", "npm run bench -- --quick", "Exit codes:"])
      expect(text).toContain(part);
  });

  test.each([
    { args: ["--rounds", "0"], says: "--rounds" },
    { args: ["--rounds", "2.5"], says: "2.5" },
    { args: ["--rounds", "many"], says: "whole number" },
    { args: ["--max-time", "0"], says: "more than 0" },
    { args: ["--max-time", ""], says: "--max-time" },
    { args: ["--max-time", "Infinity"], says: "Infinity" },
    { args: ["--peers", "nobody"], says: 'no peer "nobody"; there are ours, theirs, slow' },
    { args: ["--peer", "nobody"], says: 'no peer "nobody"' },
    { args: ["--peers", ","], says: "names no peer" },
    { args: ["--filter", "nothing"], says: "no workload has nothing in its name" },
    { args: ["--filter", ","], says: "--filter" },
    { args: ["--json"], says: "--json" },
    { args: ["--colour"], says: "--colour" },
    { args: ["lenet"], says: "argument" },
  ])("refuses $args", ({ args, says }) => {
    const { text, exitCode } = complaint(...args);
    expect(exitCode).not.toBe(0);
    expect(text).toContain(says);
  });
});
