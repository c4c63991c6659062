import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, memoryUsage, type Tensor, tensor } from "@striate/core";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { ema } from "./ema.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const of = (value: number): Tensor => tensor([value], { backend, dtype: "float64", requiresGrad: true });
const set = (t: Tensor, value: number): void => {
  const next = tensor([value], { backend, dtype: "float64" });
  t.assign(next);
  next.dispose();
};
const first = (t: Tensor): number => t.dataSync()[0] as number;

describe("ema", () => {
  test("is Σ (1 - d)·d^(n-i)·w_i + d^n·w_0", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: 1, maxLength: 20 }),
        (decay, weights) => {
          const p = of(weights[0] as number);
          const averages = ema({ tensors: [p], decay });
          let expected = weights[0] as number;
          for (const weight of weights.slice(1)) {
            set(p, weight);
            averages.step();
            expected = decay * expected + (1 - decay) * weight;
          }
          averages.finish();
          expect(first(p)).toBeCloseTo(expected, 10);
        },
      ),
    );
  });

  test("with decay 1 - 1/t is the mean of all weights", () => {
    const p = of(100);
    const asked: number[] = [];
    const averages = ema({
      tensors: [p],
      decay: (t) => {
        asked.push(t);
        return 1 - 1 / t;
      },
    });
    for (const weight of [1, 2, 6]) {
      set(p, weight);
      averages.step();
    }
    averages.finish();
    expect(first(p)).toBeCloseTo(3, 12);
    expect(asked).toEqual([1, 2, 3]);
  });

  test("warm-up begins with (1 + t) / (10 + t)", () => {
    const p = of(0);
    const averages = ema({ tensors: [p], decay: 0.5, warmup: true });
    set(p, 1);
    averages.step();
    const [tensorOf] = [...averages.stateDict().tensors.values()];
    expect(first(tensorOf as Tensor)).toBeCloseTo(1 - 2 / 11, 12);
    for (let t = 2; t <= 20; t++) averages.step();
    const before = first(averages.stateDict().tensors.get("0") as Tensor);
    averages.step();
    expect(1 - first(averages.stateDict().tensors.get("0") as Tensor)).toBeCloseTo(0.5 * (1 - before), 12);
  });

  test("the default decay is 0.999", () => {
    const p = of(0);
    const averages = ema({ tensors: [p] });
    set(p, 1);
    averages.step();
    averages.finish();
    expect(first(p)).toBeCloseTo(0.001, 12);
  });

  test("swap exchanges, and restores bit for bit", async () => {
    const p = of(0.1);
    const averages = ema({ tensors: [p], decay: 0.3 });
    set(p, 0.7);
    averages.step();
    averages.swap();
    expect(averages.swapped).toBe(true);
    const average = first(p);
    expect(average).toBe(0.3 * 0.1 + 0.7 * 0.7);
    expect(first(averages.stateDict().tensors.get("0") as Tensor)).toBe(average);
    expect(p.requiresGrad).toBe(true);
    averages.swap();
    expect(first(p)).toBe(0.7);
    await expect(averages.withAverages(() => first(p))).resolves.toBe(average);
    await expect(averages.withAverages(async () => Promise.reject(new Error("as arranged")))).rejects.toThrow("as");
    expect([first(p), averages.swapped]).toEqual([0.7, false]);
  });

  test("while swapped it neither learns nor loads", async () => {
    const averages = ema({ tensors: [of(1)] });
    averages.swap();
    expect(() => averages.step()).toThrow("ema: step while the averages are in the weights' place");
    expect(() => averages.finish()).toThrow("ema: finish while");
    expect(() => averages.loadStateDict(averages.stateDict())).toThrow("ema: loadStateDict while");
    await expect(averages.withAverages(() => 1)).rejects.toThrow(ArgumentError);
  });

  test("passes integer tensors over and leaks nothing", () => {
    const p = of(1);
    const count = tensor([7], { backend, dtype: "int32" });
    const { tensors } = memoryUsage(backend);
    const averages = ema({ tensors: [p, count] });
    for (let i = 0; i < 3; i++) {
      averages.step();
      averages.swap();
      averages.swap();
    }
    expect(first(count)).toBe(7);
    expect(memoryUsage(backend).tensors).toBe(tensors + 1);
    averages.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors, storages: 2 });
  });

  test("resumes from its state", () => {
    const [p, q] = [of(1), of(5)];
    const a = ema({ tensors: [p], decay: 0.9, warmup: true });
    const b = ema({ tensors: [q], decay: 0.9, warmup: true });
    set(p, 5);
    a.step();
    b.loadStateDict(a.stateDict());
    for (const averages of [a, b]) {
      averages.step();
      averages.finish();
    }
    expect(first(q)).toBe(first(p));
  });

  test("bad input", () => {
    const p = of(1);
    expect(() => ema({ tensors: [p], decay: 1.5 })).toThrow("ema: decay is 1.5");
    const wild = ema({ tensors: [p], decay: () => Number.NaN });
    expect(() => wild.step()).toThrow("ema: decay is NaN");
    const averages = ema({ tensors: [p] });
    const counters = new Map([["updates", 1]]);
    expect(() => averages.loadStateDict({ tensors: new Map(), counters })).toThrow(
      "ema: tensor 0 of the state is missing, expected float64 [1]",
    );
    expect(() => averages.loadStateDict({ tensors: new Map([["0", p]]), counters: new Map() })).toThrow(
      "ema: updates is NaN",
    );
    const two = new Map([
      ["0", p],
      ["1", p],
    ]);
    expect(() => averages.loadStateDict({ tensors: two, counters })).toThrow("the state has 2 tensors, expected 1");
  });
});
