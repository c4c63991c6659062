import { createCpuBackend } from "@striate/backend-cpu";
import { type Tensor, tensor } from "@striate/core";
import { build, type Layer } from "@striate/nn";
import { describe, expect, test } from "vitest";
import { ann, lenet5, speedNet } from "./networks.js";

const filters = Float32Array.from({ length: 24 * 12 }, (_, i) => Math.sin(i));

const networks: readonly (readonly [string, Layer, number])[] = [
  ["ann", ann(), 1_578_506],
  ["lenet5", lenet5(), 62_006],
  // 24·12 + 24 for whitening, 9·(24a + a² + ab + b² + bc + c²) and 2(a + b + c) for the groups, 10c for the head.
  ["speed net 16/32/32", speedNet([16, 32, 32], filters), 312 + 9 * 4224 + 160 + 320],
  ["speed net 64/256/256", speedNet([64, 256, 256], filters), 312 + 9 * 218_624 + 1152 + 2560],
];

describe.each(networks)("%s", (_, layer, parameters) => {
  test(`has ${parameters} parameters`, async () => {
    const net = build(layer, { backend: await createCpuBackend(), seed: 0 });
    expect(net.parameters().reduce((sum, { size }) => sum + size, 0)).toBe(parameters);
  });

  test("gives logits for 10 classes", async () => {
    const backend = await createCpuBackend();
    const x = tensor(new Float32Array(2 * 3 * 32 * 32).fill(0.5), { backend, shape: [2, 3, 32, 32] });
    const net = build(layer, { backend, seed: 0 });
    const logits = net.forward(x);
    expect(logits.shape).toEqual([2, 10]);
    expect((await logits.data()).every(Number.isFinite)).toBe(true);
  });
});

describe("the speed net", () => {
  const initialState = async () =>
    build(speedNet([16, 32, 32], filters), { backend: await createCpuBackend(), seed: 0 }).stateDict();

  test("begins with the whitening filters", async () => {
    const weight = (await initialState()).get("whiten.weight");
    expect(weight?.shape).toEqual([24, 3, 2, 2]);
    expect(await weight?.data()).toEqual(filters);
  });

  test.each([
    ["group1.conv1.weight", 16],
    ["group2.conv1.weight", 16],
    ["group2.conv2.weight", 32],
  ])("%s passes its first %i channels through and is random beyond", async (name, passed) => {
    const weight = (await initialState()).get(name) as Tensor;
    const [out, inputs] = weight.shape as unknown as [number, number];
    const values = (await weight.data()) as Float32Array;
    for (let o = 0; o < out; o++) {
      const unit = [...values.subarray(o * inputs * 9, (o + 1) * inputs * 9)];
      if (o < passed) expect(unit).toEqual(unit.map((_, i) => +(i === o * 9 + 4)));
      else expect(new Set(unit).size).toBe(unit.length);
    }
  });
});
