import { describe, expect, test } from "vitest";
import { parseJsonVectors, parseOperators } from "./parse.js";
import { hashedUniform, kindOf, rebuild } from "./rebuild.js";

const safetensors = (cases: unknown, tensors: Record<string, number[]>): Uint8Array => {
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: { cases: JSON.stringify(cases) } };
  for (const [name, values] of Object.entries(tensors)) {
    header[name] = { dtype: "F32", shape: [values.length], data_offsets: [at, at + 4 * values.length] };
    at += 4 * values.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(new Uint8Array(Float32Array.from(Object.values(tensors).flat()).buffer), 8 + text.length);
  return bytes;
};

const tensors = { "a/0/in/x": [1, 2], "a/0/out/y": [3], "a/0/gout/y": [4], "a/0/gin/x": [5, 6] };
const one = { id: "a/0", op: "a", attrs: { dim: 1 }, inputs: ["x"], outputs: ["y"], grads: ["x"] };

describe("parseOperators", () => {
  test("puts the tensors of a case together", () => {
    const [vector] = parseOperators(safetensors([one], tensors));
    expect(vector).toMatchObject({ id: "a/0", op: "a" });
    expect([...(vector?.gradients.get("x")?.values ?? [])]).toEqual([5, 6]);
    expect([...(vector?.arriving?.values ?? [])]).toEqual([4]);
    expect(vector?.attrs.dims("dim")).toBe(1);
  });

  test.each([
    ["a missing tensor", [{ ...one, inputs: ["x", "w"] }], /there is no tensor a\/0\/in\/w/],
    ["no outputs", [{ ...one, outputs: [] }], /it has no outputs/],
    ["a case that is no object", [7], /cases\[0\] is 7, expected an object/],
    ["no list", {}, /cases is {}, expected a list/],
  ])("refuses %s", (_what, cases, message) => {
    expect(() => parseOperators(safetensors(cases, tensors))).toThrow(message);
  });
});

describe("parseJsonVectors", () => {
  const training = {
    net: "ann",
    optimizer: "sgd",
    options: {},
    batch: 2,
    steps: 1,
    parameters: [["1.weight", [2, 3]]],
    loss: [1],
  };

  const model = {
    model: "resnet18",
    mode: "eval",
    input: [1, 3, 8, 8],
    labels: [0],
    parameters: [["fc.weight", [2, 3], "weight"]],
    logits: [[1, 2]],
    loss: 1,
  };

  test("tells by the contents what a file holds", () => {
    const optimizers = [{ optimizer: "sgd", options: { lr: 0.1 }, initial: [1], grads: [[1]], params: [[0.9]] }];
    expect(parseJsonVectors(JSON.stringify(optimizers), "o")?.optimizers?.[0]).toMatchObject({ id: "o/0/sgd(lr=0.1)" });
    const schedules = [{ schedule: "step", base_lr: 0.4, options: { step_size: 10 }, lr: [0.4] }];
    expect(parseJsonVectors(JSON.stringify(schedules), "s")?.schedules?.[0]).toMatchObject({
      baseLr: 0.4,
      metric: undefined,
    });
    expect(parseJsonVectors(JSON.stringify(training), "t")?.trainings?.[0]).toMatchObject({
      net: "ann",
      lossFloat32: [],
    });
    expect(parseJsonVectors(JSON.stringify(model), "m")?.models?.[0]).toMatchObject({
      id: "m",
      salt: "",
      temperature: 1,
    });
    expect(parseJsonVectors('{"resnet18": {}}', "shapes")).toBeUndefined();
  });

  test.each([
    ["{", /no JSON/],
    ["7", /expected an object/],
    [JSON.stringify({ ...training, loss: "low" }), /t: loss is "low", expected a list/],
    [JSON.stringify({ ...training, parameters: [["w"]] }), /parameters\[0\] is nothing, expected a list/],
    [JSON.stringify({ ...model, mode: "train" }), /t: mode is train, expected eval/],
    [JSON.stringify({ ...model, parameters: [["w", [1], "gain"]] }), /parameters\[0\]: unknown kind gain/],
  ])("refuses %s", (source, message) => {
    expect(() => parseJsonVectors(source, "t")).toThrow(message);
  });
});

describe("rebuild", () => {
  test("u is the published hash, scaled to [-1, 1)", () => {
    const u = hashedUniform("input", "", 100_000);
    expect(u.every((value) => value >= -1 && value < 1 && Number.isInteger(value * 2 ** 23))).toBe(true);
    expect(Math.abs(u.reduce((a, b) => a + b, 0) / u.length)).toBeLessThan(0.01);
    expect(hashedUniform("input", "salt", 1)).not.toEqual(hashedUniform("input", "", 1));
  });

  test("each kind has its scale, rounded to float32", () => {
    const [u] = hashedUniform("w", "", 1) as unknown as [number];
    expect(rebuild({ name: "w", shape: [1, 6], kind: "weight" }, "")[0]).toBe(Math.fround(u));
    expect(rebuild({ name: "w", shape: [1], kind: "scale" }, "")[0]).toBe(Math.fround(1 + 0.1 * u));
    expect(rebuild({ name: "w", shape: [1], kind: "var" }, "")[0]).toBe(Math.fround(1 + 0.5 * u));
    expect(rebuild({ name: "w", shape: [1], kind: "bias" }, "")[0]).toBe(Math.fround(0.1 * u));
  });

  test("a trainable tensor's kind follows from its name and shape", () => {
    expect(kindOf("conv1.weight", [16, 3, 3, 3])).toBe("weight");
    expect(kindOf("bn1.weight", [16])).toBe("scale");
    expect(kindOf("bn1.bias", [16])).toBe("bias");
  });
});
