import { createCpuBackend } from "@striate/backend-cpu";
import {
  ArgumentError,
  type Backend,
  IndexError,
  memoryUsage,
  noGrad,
  ShapeError,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@striate/core";
import { sgd } from "@striate/optim";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import {
  digitBitmaps,
  lenet5Connections,
  lenet5Features,
  lenet5Normalization,
  lenet5Of1998,
  mapLoss,
  rbf,
} from "./index.js";
import { gradcheckNet, make, values, wave } from "./testing/nets.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const of = (rows: readonly (readonly number[])[]): Tensor =>
  tensor(rows.flat(), { backend, shape: [rows.length, rows[0]?.length ?? 0], dtype: "float64" });
const labelled = (...labels: number[]): Tensor => tensor(labels, { backend, dtype: "int32" });

describe("LeNet-5 of 1998", () => {
  test("has the table of connections of the paper: 60 links, 10 of each map", () => {
    expect(lenet5Connections.map(({ length }) => length)).toEqual([3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6]);
    for (let map = 0; map < 6; map++)
      expect(lenet5Connections.filter((inputs) => inputs.includes(map)).length).toBe(10);
    expect(new Set(lenet5Connections.map(String)).size).toBe(16);
  });

  test("has 60,000 parameters and 840 fixed values", () => {
    const net = make(lenet5Of1998(), backend);
    const sizes = [...net.namedParameters()].map(([name, { size }]) => [name.replace(/^features\./, ""), size]);
    expect(sizes).toEqual([
      ["c1.weight", 150],
      ["c1.bias", 6],
      ["s2.weight", 6],
      ["s2.bias", 6],
      ["c3.weight", 1500],
      ["c3.bias", 16],
      ["s4.weight", 16],
      ["s4.bias", 16],
      ["c5.weight", 48_000],
      ["c5.bias", 120],
      ["f6.weight", 10_080],
      ["f6.bias", 84],
    ]);
    expect(sizes.reduce((sum, [, size]) => sum + (size as number), 0)).toBe(60_000);
    expect([...net.namedBuffers()].map(([name, { size }]) => [name, size])).toEqual([["output.weight", 840]]);
    expect(values(net.namedBuffers().get("output.weight") as Tensor)).toEqual(digitBitmaps.flat());
  });

  test("begins with weights and biases in ±2.4 / fan-in, each map of C3 by its own", () => {
    const state = make(lenet5Of1998(), backend).namedParameters();
    const largest = (name: string, from = 0, to?: number): number =>
      Math.max(
        ...values(state.get(`features.${name}`) as Tensor)
          .slice(from, to)
          .map(Math.abs),
      );
    const fans = { c1: 25, s2: 4, s4: 4, c5: 400, f6: 120 };
    for (const [name, fan] of Object.entries(fans)) {
      expect(largest(`${name}.weight`)).toBeLessThanOrEqual(2.4 / fan);
      expect(largest(`${name}.weight`)).toBeGreaterThan(1.5 / fan);
      expect(largest(`${name}.bias`)).toBeLessThanOrEqual(2.4 / fan);
    }
    expect(largest("c3.weight", 0, 75)).toBeGreaterThan(2.4 / 100);
    expect(largest("c3.weight", 0, 75)).toBeLessThanOrEqual(2.4 / 75);
    expect(largest("c3.weight", 1350)).toBeLessThanOrEqual(2.4 / 150);
  });

  test("squashes F6 into ±1.7159 and nothing behind it", () => {
    const net = make(lenet5Of1998(), backend);
    scope(() => {
      const x = wave(backend, 2, 1, 32, 32).mul(1e3);
      const f6 = make(lenet5Features(), backend).forward(x);
      expect(f6.shape).toEqual([2, 84]);
      expect(Math.max(...values(f6).map(Math.abs))).toBeLessThanOrEqual(1.7159);
      const distances = values(net.forward(x)).map((logit) => -logit);
      expect(distances.length).toBe(20);
      expect(Math.min(...distances)).toBeGreaterThan(0.5 ** 2 * 84 * 0.1);
    });
  });

  test("normalizes paper to -0.1 and ink to 1.175", () => {
    const { mean, std } = lenet5Normalization;
    const normalized = (value: number): number => (value / 255 - mean[0]) / std[0];
    expect(normalized(0)).toBeCloseTo(-0.1, 12);
    expect(normalized(255)).toBeCloseTo(1.175, 12);
  });

  test.each(["rbf", "softmax"] as const)("learns with the head %s", (head) => {
    const net = make(lenet5Of1998({ head }), backend);
    const x = wave(backend, 4, 1, 32, 32);
    const labels = labelled(0, 1, 2, 3);
    const optimizer = sgd(net.parameters(), { lr: 0.01 });
    const loss = (): Tensor => mapLoss(net.forward(x), labels);
    const before = optimizer.step(loss);
    const after = noGrad(loss);
    expect(values(after)[0]).toBeLessThan(values(before)[0] as number);
  });

  test("has the gradients of finite differences", async () => {
    const net = make(lenet5Of1998(), backend);
    await gradcheckNet(net, wave(backend, 2, 1, 32, 32), (logits) => mapLoss(logits, labelled(3, 8), { j: 2 }), 3);
  });

  test("with the softmax has 850 parameters more", () => {
    const net = make(lenet5Of1998({ head: "softmax" }), backend);
    expect(net.parameters().reduce((sum, { size }) => sum + size, 0)).toBe(60_850);
    expect(net.namedBuffers().size).toBe(0);
  });

  test("takes some of the digits only, and other classes with the softmax", () => {
    const forward = (classes: number, head: "rbf" | "softmax"): readonly number[] =>
      make(lenet5Of1998({ classes, head }), backend).forward(wave(backend, 1, 1, 32, 32)).shape;
    expect(forward(3, "rbf")).toEqual([1, 3]);
    expect(forward(26, "softmax")).toEqual([1, 26]);
  });

  test.each([
    [{ head: "linear" as never }, 'lenet5Of1998: head is "linear", expected one of rbf, softmax'],
    [{ classes: 11 }, "lenet5Of1998: classes is 11, expected 1 to 10"],
    [{ classes: 0 }, "lenet5Of1998: classes is 0"],
    [{ classes: 2.5 }, "lenet5Of1998: classes is 2.5"],
  ])("refuses %j", (options, message) => {
    expect(() => lenet5Of1998(options)).toThrow(ArgumentError);
    expect(() => lenet5Of1998(options)).toThrow(message);
  });

  test("refuses images of another size, naming the layer", () => {
    const net = make(lenet5Of1998(), backend);
    expect(() => net.forward(wave(backend, 1, 1, 28, 28))).toThrow("(in layer features.");
  });
});

describe("rbf", () => {
  test("is 0 at a code, less elsewhere: the nearest code wins", () => {
    const net = make(rbf(digitBitmaps), backend);
    scope(() => {
      const logits = net.forward(of(digitBitmaps));
      const found = values(logits.argmax(1));
      expect(found).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(values(logits).filter((value) => value === 0).length).toBe(10);
      // Each place in which two codes differ counts (1 - -1)².
      expect(Math.max(...values(logits).filter((value) => value !== 0))).toBe(-4 * 21);
    });
  });

  test("has the gradients of finite differences", async () => {
    const codes = [
      [1, -1, 1],
      [-1, -1, 1],
    ];
    await gradcheckNet(make(rbf(codes), backend), wave(backend, 4, 3));
  });

  test.each([
    ["none", [], "[]"],
    ["an empty one", [[]], "[0]"],
    ["of two lengths", [[1, -1], [1]], "[2, 1]"],
  ])("refuses codes: %s", (_, codes, lengths) => {
    expect(() => rbf(codes)).toThrow(ArgumentError);
    expect(() => rbf(codes)).toThrow(`rbf: the codes have ${lengths} elements, expected one length above 0`);
  });

  test("leaves its buffer only", () => {
    const { tensors } = memoryUsage(backend);
    const net = make(rbf([[1, -1]]), backend);
    expect(memoryUsage(backend).tensors).toBe(tensors + 1);
    net.dispose();
    expect(memoryUsage(backend).tensors).toBe(tensors);
  });
});

describe("mapLoss", () => {
  const distances = fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { minLength: 3, maxLength: 3 });

  test("is y_label + log(e^-j + Σ e^-y), averaged", () => {
    fc.assert(
      fc.property(
        fc.array(distances, { minLength: 1, maxLength: 4 }),
        fc.double({ min: 0.01, max: 50, noNaN: true }),
        (rows, j) =>
          scope(() => {
            const loss = mapLoss(of(rows).neg(), labelled(...rows.map((_, i) => i % 3)), { j });
            const expected = rows.map((y, i) => {
              const least = Math.min(j, ...y);
              const sum = [...y, j].reduce((total, d) => total + Math.exp(least - d), 0);
              return (y[i % 3] as number) - least + Math.log(sum);
            });
            expect(values(loss)[0]).toBeCloseTo(expected.reduce((a, b) => a + b) / rows.length, 9);
          }),
      ),
      { numRuns: 50 },
    );
  });

  test("does not underflow where all codes are far, in float32", () => {
    const logits = tensor([[-900, -1000, -1200]], { backend });
    const { value, grads } = valueAndGrad(() => mapLoss(logits, labelled(1), { j: 1 }), [logits]);
    expect(values(value)[0]).toBeCloseTo(1000 - 1, 3);
    // Far beyond j only the pull to the own code is left.
    expect(values(grads[0] as Tensor)).toEqual([0, -1, 0]);
    const large = mapLoss(logits, labelled(1), { j: 5000 });
    expect(values(large)[0]).toBeCloseTo(100, 3);
  });

  test("pulls to the own code and pushes from those that are nearer than j", () => {
    const logits = of([[-2, -3, -40]]);
    const { grads } = valueAndGrad(() => mapLoss(logits, labelled(0), { j: 10 }), [logits]);
    const [own, near, far] = values(grads[0] as Tensor) as [number, number, number];
    expect(own).toBeLessThan(0);
    expect(near).toBeGreaterThan(0.1);
    expect(Math.abs(far)).toBeLessThan(1e-12);
  });

  test("refuses what does not fit", () => {
    const logits = of([[-1, -2]]);
    const labels = labelled(0);
    for (const j of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => mapLoss(logits, labels, { j })).toThrow(ArgumentError);
      expect(() => mapLoss(logits, labels, { j })).toThrow(`mapLoss: j is ${j}, expected a finite number above 0`);
    }
    expect(() => mapLoss(logits, labelled(0, 1))).toThrow(ShapeError);
    expect(() => mapLoss(logits, labelled(0, 1))).toThrow("mapLoss: logits are [1, 2], labels [2]");
    // The rubbish class is nobody's label.
    expect(() => mapLoss(logits, labelled(2))).toThrow(IndexError);
    expect(() => mapLoss(logits, labelled(-1))).toThrow(IndexError);
  });
});
