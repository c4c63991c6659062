/** Golden vectors are believed: one that is wrong, or asks for something unknown, is a failed case. */
import { createCpuBackend } from "@striate/backend-cpu";
import { flatten, linear, type Tensor, zeros } from "@striate/core";
import { beforeAll, describe, expect, test } from "vitest";
import { bundledVectors, loadVectors } from "../node.js";
import { finiteDifferences, probesOf } from "../reference/gradient.js";
import * as reference from "../reference/index.js";
import { ndarray, scalar } from "../reference/ndarray.js";
import type { CaseResult } from "../results.js";
import { type ConformanceOptions, runConformance } from "../run.js";
import { type ModelVector, noVectors, type Vectors } from "../vectors/parse.js";
import { hashedUniform, rebuild } from "../vectors/rebuild.js";
import type { ModelBuilder } from "./models.js";

let bundled: Vectors;
beforeAll(async () => {
  bundled = await loadVectors(bundledVectors);
});

const run = async (
  vectors: Partial<Vectors>,
  options: Partial<ConformanceOptions> = {},
): Promise<readonly CaseResult[]> => {
  const groups = ["vectors", "models", "training"] as const;
  const all = { name: "cpu", create: createCpuBackend, vectors: { ...noVectors, ...vectors }, groups, ...options };
  const { results } = await runConformance(all);
  return results.filter(({ id }) => !id.startsWith("models:training-step"));
};

const first = <T>(items: readonly T[], found: (item: T) => boolean): T => items.find(found) as T;

describe("operators", () => {
  const conv = () => first(bundled.operators, ({ op }) => op === "conv2d");

  test("agree in both dtypes", async () => {
    const results = await run({ operators: [conv()] });
    expect(results.map(({ dtype, status, op }) => [dtype, status, op])).toEqual([
      ["float32", "passed", "conv2d"],
      ["float64", "passed", "conv2d"],
    ]);
  });

  test.each(["outputs", "gradients"] as const)("fail where the %s are off", async (part) => {
    const vector = conv();
    const moved = new Map(
      [...vector[part]].map(([name, t]) => [name, { ...t, values: t.values.map((v) => v * 1.001) }]),
    );
    const results = await run({ operators: [{ ...vector, [part]: moved }] });
    expect(results.map(({ status }) => status)).toEqual(["failed", "failed"]);
    expect(results[0]?.reason).toMatch(part === "outputs" ? /^output y is off by/ : /^the gradient of x is off by/);
  });

  test("of an unknown name fail, saying so", async () => {
    const [result] = await run({ operators: [{ ...conv(), op: "conv9d" }] });
    expect(result?.reason).toContain("no operator of that name is known: conv9d");
  });

  test("in a file that cannot be read fail", async () => {
    const [result] = await run({ unreadable: [{ file: "ops/x.safetensors", reason: "no header" }] });
    expect(result).toMatchObject({ id: "vectors:file/ops/x.safetensors", status: "failed" });
    expect(result?.reason).toContain("no header");
  });
});

describe("optimizers and schedules", () => {
  test("fail where a parameter is off", async () => {
    const vector = first(bundled.optimizers, ({ optimizer }) => optimizer === "adam");
    const params = vector.params.map((row, step) => (step === 7 ? row.map((p) => p * 1.00001) : row));
    const [result] = await run({ optimizers: [{ ...vector, params }] });
    expect(result?.status).toBe("failed");
    expect(result?.reason).toMatch(/^step 7: parameter \d+ is/);
  });

  test("fail where an option is not honoured", async () => {
    const vector = first(bundled.optimizers, ({ options }) => options["nesterov"] === true);
    const [result] = await run({ optimizers: [{ ...vector, options: { ...vector.options, nesterov: false } }] });
    expect(result?.status).toBe("failed");
  });

  test.each(["plateau", "one_cycle"])("fail where a rate of %s is off", async (name) => {
    const vector = first(bundled.schedules, ({ schedule }) => schedule === name);
    expect((await run({ schedules: [vector] }))[0]?.status).toBe("passed");
    const [result] = await run({
      schedules: [{ ...vector, lr: vector.lr.map((lr, i) => (i === 40 ? lr * 1.001 : lr)) }],
    });
    expect(result?.reason).toMatch(/^step 40: the rate is/);
  });

  test("of unknown names fail, saying so", async () => {
    const optimizer = { ...first(bundled.optimizers, () => true), optimizer: "lion" };
    const schedule = { ...first(bundled.schedules, () => true), schedule: "moon" };
    const reasons = (await run({ optimizers: [optimizer], schedules: [schedule] })).map(({ reason }) => reason);
    expect(reasons).toEqual(expect.arrayContaining([expect.stringContaining("lion"), expect.stringContaining("moon")]));
  });
});

describe("trainings", () => {
  const images = {
    images: new Uint8Array(128 * 3072).map((_, i) => (i * 7919) % 251),
    labels: new Uint8Array(128).map((_, i) => i % 10),
  };
  const ann = () => first(bundled.trainings, ({ net, optimizer }) => net === "ann" && optimizer === "sgd");

  test("are skipped without images, saying so", async () => {
    const results = await run({ trainings: [ann()] });
    expect(results.map(({ status }) => status)).toEqual(["skipped", "skipped"]);
    expect(results[0]?.reason).toContain("data_batch_1.bin");
  });

  test("fail on other images", async () => {
    const [result] = await run({ trainings: [{ ...ann(), steps: 2 }] }, { images });
    expect(result?.status).toBe("failed");
    expect(result?.reason).toMatch(/^step 0: the loss is/);
  });

  test("fail where there are too few images", async () => {
    const [result] = await run({ trainings: [ann()] }, { images });
    expect(result?.reason).toBe("128 images, the training needs 1920");
  });

  test("of an unknown network fail, saying so", async () => {
    const [result] = await run({ trainings: [{ ...ann(), net: "transformer", steps: 1 }] }, { images });
    expect(result?.reason).toContain("no network of that name is known: transformer");
  });
});

describe("models", () => {
  const specs = [
    { name: "fc.weight", shape: [3, 12], kind: "weight" },
    { name: "fc.bias", shape: [3], kind: "bias" },
  ] as const;

  /** logits = flatten(x) · Wᵀ + b, by the reference. */
  const vector = (): ModelVector => {
    const x = ndarray(
      [2, 12],
      Float32Array.from(hashedUniform("input", "salt", 24), (u) => u * 1.7),
    );
    const [w, b] = specs.map((spec) => ndarray(spec.shape, rebuild(spec, "salt"))) as [
      reference.NdArray,
      reference.NdArray,
    ];
    const logits = (): reference.NdArray => reference.linear(x, w, b);
    const loss = (): reference.NdArray =>
      reference.reduceLoss(
        reference.crossEntropy(
          reference.map(logits(), (value) => value / 2),
          ndarray([2], [2, 0]),
        ),
        "mean",
      );
    const gradL2 = new Map(
      [w, b].map((p, i) => [
        (specs[i] as { name: string }).name,
        Math.hypot(...finiteDifferences(loss, p, scalar(1), probesOf(p, 100))),
      ]),
    );
    return {
      id: "toy-2",
      model: "toy",
      salt: "salt",
      input: [2, 3, 2, 2],
      labels: [2, 0],
      temperature: 2,
      parameters: specs,
      buffers: [],
      logits: [[...logits().data.slice(0, 3)], [...logits().data.slice(3)]],
      loss: loss().data[0] as number,
      gradL2,
    };
  };

  const toy: ModelBuilder = ({ backend, dtype }) => {
    const state = new Map(specs.map(({ name, shape }) => [name as string, zeros(shape, { backend, dtype })]));
    return {
      stateDict: () => state,
      forward: (x) => linear(flatten(x, 1), state.get("fc.weight") as Tensor, state.get("fc.bias") as Tensor),
      dispose: () => {
        for (const t of state.values()) t.dispose();
      },
    };
  };

  test("that the caller supplies are held to their vectors", async () => {
    const results = await run({ models: [vector()] }, { models: { toy } });
    expect(results.map(({ id, status }) => [id, status])).toEqual([
      ["models:toy-2#f32", "passed"],
      ["models:toy-2#f64", "passed"],
    ]);
  });

  test.each([
    [{ loss: 3 }, /^the loss is off by/],
    [
      {
        logits: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      },
      /^the vector of logits is off by/,
    ],
    [{ gradL2: new Map([["fc.bias", 9]]) }, /^the gradient norm of fc\.bias is off by/],
    [{ parameters: [{ name: "head.weight", shape: [3], kind: "bias" as const }] }, /the network has no head\.weight/],
  ])("fail where something is off: %o", async (wrong, reason) => {
    const [result] = await run({ models: [{ ...vector(), ...wrong }] }, { models: { toy } });
    expect(result?.status).toBe("failed");
    expect(result?.reason).toMatch(reason);
  });

  test("that nobody supplies are skipped, saying so", async () => {
    const [result] = await run({ models: [vector()] });
    expect(result).toMatchObject({ status: "skipped", reason: "no network toy was given" });
  });
});
