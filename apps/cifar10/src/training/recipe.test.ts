// Each part of a recipe, switched on by the config: it trains, and to other weights than without it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../testing/command.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-recipe-"));
afterAll(() => rmSync(scratch, { recursive: true }));

let runs = 0;

/** Four steps of a net of a few thousand parameters, as plain as can be. */
const plain = [
  ...["--synthetic", "--backend", "cpu", "--batch-size", "8", "--epochs", `${4 / 256}`, "--flip", "none"],
  ...["--optimizer", "sgd", "--lr", "0.05"],
  ...["--set", "augment.crop=null", "--set", 'schedule={"name":"constant"}', "--weight-decay", "0"],
];
const ann = ["--network", "ann", "--set", "network.options.hidden=4"];

const train = async (args: readonly string[], network = ann): Promise<Record<string, unknown>> => {
  const { events, code, message } = await runCommand([
    ...plain,
    ...network,
    ...args,
    "--out",
    join(scratch, `${runs++}`),
  ]);
  expect({ code, message }).toEqual({ code: 0, message: "" });
  return events.at(-1) as Record<string, unknown>;
};

const hashOf = async (args: readonly string[], network = ann): Promise<unknown> =>
  (await train(args, network))["weightsSha256"];

describe("each part of a recipe can be had by the config", () => {
  let without: unknown;
  beforeAll(async () => {
    without = await hashOf([]);
    expect(await hashOf([])).toBe(without);
  });

  test.each<[string, ...string[]]>([
    ["momentum", "--momentum", "0.5"],
    ["Nesterov", "--momentum", "0.5", "--set", "optimizer.nesterov=true"],
    ["AdamW", "--optimizer", "adamw"],
    ["Muon", "--set", 'optimizer={"name":"muon","match":"1.weight","rest":{"name":"sgd"}}'],
    ["Lookahead", "--set", 'lookahead={"every":2}'],
    ["EMA", "--ema", "0.5"],
    ["label smoothing", "--label-smoothing", "0.2"],
    ["mixup", "--mixup", "1"],
    ["CutMix", "--cutmix", "1"],
    ["cutout", "--cutout", "8"],
    ["erasing", "--set", 'augment.erasing={"prob":1}'],
    ["crop", "--set", 'augment.crop={"padding":4}'],
    ["random flip", "--flip", "random"],
    ["alternating flip", "--flip", "alternating"],
    ["PCA colour jitter", "--set", 'augment.lighting={"std":0.5}'],
    ["brightness", "--set", "augment.brightness=0.5"],
    ["contrast", "--set", "augment.contrast=0.5"],
    ["clipping of the norm", "--clip-norm", "0.01"],
    ["clipping of values", "--clip-value", "0.001"],
    ["a schedule with warm-up", "--set", 'schedule={"name":"cosine","warmup":0.5}'],
    ["L1", "--l1", "0.01"],
    ["L2", "--weight-decay", "0.1"],
    ["freezing", "--set", 'freeze=[{"match":"bias"}]'],
    ["groups", "--set", 'optimizer.groups=[{"match":"bias","lrFactor":2}]'],
  ])("%s", async (_, ...args) => {
    expect(await hashOf(args)).not.toBe(without);
  });

  test("dropout", async () => {
    const maxout = ["--network", "maxout", "--set", "network.options.widths=[2,2,2,4]"];
    const none = await hashOf(["--set", "network.options.dropout=[0,0]"], maxout);
    expect(await hashOf(["--set", "network.options.dropout=[0.2,0.5]"], maxout)).not.toBe(none);
  });

  // Of ten million parameters: there is no small net that has some.
  test.runIf(process.env["STRIATE_FULL"] === "1")(
    "auxiliary losses",
    async () => {
      const googlenet = ["--network", "googlenet", "--backend", "wasm", "--epochs", `${1 / 256}`];
      const [none, some] = [
        await train(["--set", "loss.auxiliaryWeight=0"], googlenet),
        await train(["--set", "loss.auxiliaryWeight=0.3"], googlenet),
      ];
      // Those of the first step are in its loss: two, of about ln 10 each.
      expect((some["trainLoss"] as number) - (none["trainLoss"] as number)).toBeCloseTo(0.3 * 2 * Math.log(10), 0);
      expect(some["weightsSha256"]).not.toBe(none["weightsSha256"]);
    },
    120_000,
  );

  test("accumulation comes to the same loss, but for rounding", async () => {
    const [whole, parts] = [await train([]), await train(["--accumulate", "4"])];
    expect(parts["trainLoss"]).toBeCloseTo(whole["trainLoss"] as number, 4);
    expect(parts["weightsSha256"]).not.toBe(whole["weightsSha256"]);
  });

  test("views of the test images", async () => {
    const [one, six] = [await train([]), await train(["--views", "6"])];
    expect(six["weightsSha256"]).toBe(one["weightsSha256"]);
    expect(six["testLoss"]).not.toBe(one["testLoss"]);
  });
});
