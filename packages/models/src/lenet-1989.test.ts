import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, mseLoss, noGrad, scope, type Tensor, tensor } from "@striate/core";
import { sgd } from "@striate/optim";
import { beforeEach, describe, expect, test } from "vitest";
import { lenet1989, lenet1989Connections, summary } from "./index.js";
import { gradcheckNet, make, values, wave } from "./testing/nets.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

describe("the zip code network of 1989", () => {
  test("has the parameters and connections of the paper, layer by layer", () => {
    const { layers, parameters, connections } = summary(lenet1989(), [1, 16, 16]);
    const rows = layers.filter((row) => row.parameters > 0);
    expect(rows.map(({ name, output, parameters, connections }) => [name, output, parameters, connections])).toEqual([
      ["h1", [12, 8, 8], 1068, 19_968],
      ["h2", [12, 4, 4], 2592, 38_592],
      ["h3", [30], 5790, 5790],
      ["output", [10], 310, 310],
    ]);
    const units = rows.reduce((sum, { output }) => sum + (output as readonly number[]).reduce((a, b) => a * b), 256);
    expect([units, parameters, connections]).toEqual([1256, 9760, 64_660]);
  });

  test("gives each map of H2 eight maps of H1, and each of those as often", () => {
    for (let map = 0; map < 12; map++)
      expect(lenet1989Connections.filter((inputs) => inputs.includes(map)).length).toBe(8);
    expect(new Set(lenet1989Connections.map((inputs) => `${[...inputs].sort()}`)).size).toBe(12);
    expect(lenet1989Connections.every((inputs) => new Set(inputs).size === 8)).toBe(true);
  });

  test("has a bias of its own for every unit of H1 and H2", () => {
    const state = make(lenet1989(), backend).namedParameters();
    expect(state.get("h1.weight")?.shape).toEqual([12, 1, 5, 5]);
    expect(state.get("h1.bias")?.shape).toEqual([12, 8, 8]);
    expect(state.get("h2.weight")?.shape).toEqual([96, 5, 5]);
    expect(state.get("h2.bias")?.shape).toEqual([12, 4, 4]);
    expect(Math.max(...values(state.get("h2.bias") as Tensor).map(Math.abs))).toBeLessThanOrEqual(2.4 / 200);
  });

  test("sees paper around the image: an empty one looks the same everywhere", () => {
    const net = make(lenet1989(), backend);
    // Alike biases, so that only the edge could make a difference.
    scope(() => {
      for (const name of ["h1.bias", "h2.bias"]) {
        const bias = net.namedParameters().get(name) as Tensor;
        bias.assign(bias.zerosLike());
      }
    });
    let h1: number[] = [];
    net.observe((name, output) => {
      if (name === "h1") h1 = values(output as Tensor);
    });
    net.forward(tensor(new Float64Array(256).fill(-1), { backend, shape: [1, 1, 16, 16] }));
    for (let map = 0; map < 12; map++) {
      const units = h1.slice(64 * map, 64 * (map + 1));
      for (const unit of units) expect(unit).toBeCloseTo(units[0] as number, 12);
    }
  });

  test("has the gradients of finite differences", async () => {
    await gradcheckNet(make(lenet1989(), backend), wave(backend, 1, 1, 16, 16));
  });

  test("learns", () => {
    const net = make(lenet1989({ classes: 3 }), backend);
    const x = wave(backend, 3, 1, 16, 16);
    const targets = tensor([1, -1, -1, -1, 1, -1, -1, -1, 1], { backend, shape: [3, 3], dtype: "float64" });
    const loss = (): Tensor => mseLoss(net.forward(x), targets);
    const before = sgd(net.parameters(), { lr: 0.1 }).step(loss);
    expect(values(noGrad(loss))[0]).toBeLessThan(values(before)[0] as number);
  });
});
