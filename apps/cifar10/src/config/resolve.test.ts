import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { presetNames, presets } from "./presets.js";
import {
  ConfigError,
  keepsBest,
  overlay,
  resolveConfig,
  type Setting,
  settingFromAssignment,
  settingsFromEnvironment,
  settingsFromFlags,
  validationImages,
} from "./resolve.js";
import { configSchema } from "./schema.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-config-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const fileWith = (config: unknown): string => {
  const file = join(scratch, "config.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
};

const set = (path: string, value: Setting["value"]): Setting => ({ by: `--${path}`, path: path.split("."), value });

describe("presets", () => {
  test.each(presetNames)("%s is a config, and names itself", (preset) => {
    const config = resolveConfig({ preset });
    expect(config.preset).toBe(preset);
    expect(configSchema.parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  test("have a summary each", () => {
    for (const { summary } of Object.values(presets)) expect(summary.length).toBeGreaterThan(5);
  });

  test("the fast ones are those of the paper", () => {
    expect(resolveConfig({ preset: "fast80" })).toMatchObject({
      epochs: 2.5,
      batchSize: 512,
      views: 1,
      network: { name: "speed_net", options: { widths: [32, 64, 64] } },
      optimizer: { lr: 11.5, momentum: 0.85, nesterov: true, weightDecay: 0.0153, units: "kilostep" },
    });
    expect(resolveConfig({ preset: "fast90" })).toMatchObject({ epochs: 14, views: 6 });
  });
});

describe("layers", () => {
  test("flags go over the environment, that over the file, that over the preset", () => {
    const file = fileWith({ preset: "fast70", epochs: 3, seed: 3, batchSize: 30 });
    const env = { STRIATE_EPOCHS: "4", STRIATE_SEED: "4" };
    const flags = [set("epochs", 5)];
    expect(resolveConfig({ file, env, flags })).toMatchObject({ epochs: 5, seed: 4, batchSize: 30, views: 1 });
  });

  test("the preset of the command line goes over that of the file", () => {
    const file = fileWith({ preset: "lenet5", epochs: 3 });
    expect(resolveConfig({ file, preset: "ann" })).toMatchObject({
      preset: "ann",
      network: { name: "ann" },
      epochs: 3,
    });
  });

  test("a resolved config is its own fixed point", () => {
    for (const preset of presetNames) {
      const config = resolveConfig({ preset, flags: [set("seed", 7)] });
      expect(resolveConfig({ file: fileWith(config) })).toEqual(config);
    }
  });

  test("options of another optimizer are not carried over", () => {
    const { optimizer } = resolveConfig({ flags: [set("optimizer.lr", 0.5), set("optimizer.name", "adam")] });
    expect(optimizer).toEqual({
      name: "adam",
      lr: 0.5,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      amsgrad: false,
      groups: [],
    });
  });

  test("what is null becomes what a flag says of it", () => {
    const flags = [set("clip.norm", 2), set("mix.mixupAlpha", 0.2), set("ema.decay", 0.9)];
    expect(resolveConfig({ flags })).toMatchObject({
      clip: { norm: 2 },
      mix: { mixupAlpha: 0.2, cutmixAlpha: 0 },
      ema: { decay: 0.9, warmup: false },
    });
  });

  test.each([
    [{}, "fast70"],
    [{ flags: [set("network.name", "resnet20")] }, "resnet20"],
    [{ flags: [set("network.name", "combined")] }, "plain"],
    [{ env: { STRIATE_NETWORK: "resnet20" } }, "resnet20"],
    [{ env: { STRIATE_PRESET: "ann" }, flags: [set("network.name", "resnet20")] }, "ann"],
  ] as const)("without a preset, %j is trained by %s", (sources, preset) => {
    expect(resolveConfig(sources).preset).toBe(preset);
  });

  test("a file without a preset grows from the plain one", () => {
    expect(resolveConfig({ file: fileWith({ epochs: 3 }) })).toMatchObject({ preset: "plain", epochs: 3 });
  });
});

describe("settings", () => {
  test("of the environment are read as flags are", () => {
    const env = { STRIATE_MAX_TIME: "2m", STRIATE_SYNTHETIC: "1", STRIATE_DATA: "", STRIATE_FULL: "1", HOME: "x" };
    expect(settingsFromEnvironment(env)).toEqual([
      { by: "STRIATE_MAX_TIME", path: ["maxTime"], value: 120 },
      { by: "STRIATE_SYNTHETIC", path: ["data", "source"], value: "synthetic" },
    ]);
  });

  test("of commander's names", () => {
    expect(settingsFromFlags({ batchSize: 5, offline: true, unknown: 1 })).toEqual([
      { by: "--batch-size", path: ["batchSize"], value: 5 },
      { by: "--offline", path: ["data", "offline"], value: true },
    ]);
  });

  test.each([
    ["a.b=1", ["a", "b"], 1],
    ["a=true", ["a"], true],
    ["a=null", ["a"], null],
    ["a=[1,2]", ["a"], [1, 2]],
    ["a=x=y", ["a"], "x=y"],
    ["a=", ["a"], ""],
  ] as const)("%s", (text, path, value) => {
    expect(settingFromAssignment(text)).toMatchObject({ path, value });
  });
});

test("a wrong value is blamed on where it comes from", () => {
  const file = fileWith({ epochs: -1 });
  expect(() => resolveConfig({ file })).toThrow(`--config ${file}: epochs: is -1`);
  expect(() => resolveConfig({ env: { STRIATE_EPOCHS: "-1" } })).toThrow("STRIATE_EPOCHS: epochs: is -1");
  expect(() => resolveConfig({ flags: [set("epochs", -1)] })).toThrow("--epochs: epochs: is -1");
  const two = [set("epochs", 1), set("seed", -1)];
  expect(() => resolveConfig({ flags: two })).toThrow(/^--seed: seed: is -1/);
});

test("an overlay changes what it says, and is checked", () => {
  const config = resolveConfig();
  expect(overlay(config, [])).toBe(config);
  expect(overlay(config, [set("views", 6)])).toEqual({ ...config, views: 6 });
  expect(() => overlay(config, [set("views", 2)])).toThrow(ConfigError);
});

test("images are held out where something is selected by them", () => {
  const config = resolveConfig();
  expect([keepsBest(config), validationImages(config)]).toEqual([false, 0]);
  for (const flags of [[set("select", "best")], [set("earlyStopping.patience", 3)]]) {
    const selecting = resolveConfig({ flags });
    expect([keepsBest(selecting), validationImages(selecting)]).toEqual([true, 5000]);
  }
  const plateau = resolveConfig({ flags: [set("schedule.name", "plateau")] });
  expect([keepsBest(plateau), validationImages(plateau)]).toEqual([false, 5000]);
  const last = resolveConfig({ flags: [set("select", "last"), set("earlyStopping.patience", 3)] });
  expect(keepsBest(last)).toBe(false);
});

test("whatever JSON a file has, it is a config or a ConfigError", () => {
  const keys = fc.constantFrom(
    "epochs",
    "optimizer",
    "network",
    "data",
    "name",
    "lr",
    "schedule",
    "augment",
    "__proto__",
    "x",
  );
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, 0, -1, 1.5, "", "sgd", "resnet20", "cosine"),
      fc.array(tie("json"), { maxLength: 3 }),
      fc.dictionary(keys, tie("json"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(json, (value) => {
      try {
        const config = resolveConfig({ file: fileWith(value) });
        expect(configSchema.parse(config)).toEqual(config);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as Error).message).toMatch(/^--config /m);
      }
    }),
    { numRuns: 200 },
  );
});
