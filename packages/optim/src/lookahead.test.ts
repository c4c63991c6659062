import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, memoryUsage, type Tensor, tensor } from "@striate/core";
import { beforeEach, describe, expect, test } from "vitest";
import { lookahead } from "./lookahead.js";

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

describe("lookahead", () => {
  test("averages every so many steps, by a schedule, and copies back", () => {
    const p = of(0);
    const asked: number[] = [];
    const slow = lookahead({
      tensors: [p],
      every: 2,
      decay: (step) => {
        asked.push(step);
        return step / 10;
      },
    });
    const seen: number[] = [];
    for (let i = 1; i <= 5; i++) {
      set(p, first(p) + 1);
      slow.step();
      seen.push(first(p));
    }
    // 2 -> 0.2 · 0 + 0.8 · 2 = 1.6; 3.6 -> 0.4 · 1.6 + 0.6 · 3.6 = 2.8
    expect(seen).toEqual([1, 1.6, 2.6, 2.8, 3.8].map((v) => expect.closeTo(v, 12)));
    expect(asked).toEqual([2, 4]);
    slow.finish();
    expect(first(p)).toBeCloseTo(2.8, 12);
  });

  test("passes integer tensors over, keeps gradients wanted, and leaks nothing", () => {
    const p = of(1);
    const count = tensor([7], { backend, dtype: "int32" });
    const { tensors } = memoryUsage(backend);
    const slow = lookahead({ tensors: [p, count], every: 1, decay: 0.5 });
    for (let i = 0; i < 3; i++) slow.step();
    expect(p.requiresGrad).toBe(true);
    expect(first(count)).toBe(7);
    expect(memoryUsage(backend).tensors).toBe(tensors + 1);
    slow.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors, storages: 2 });
  });

  test("resumes from its state", () => {
    const [p, q] = [of(1), of(1)];
    const a = lookahead({ tensors: [p], every: 2, decay: 0.5 });
    set(p, 5);
    a.step();
    const b = lookahead({ tensors: [q], every: 2, decay: 0.5 });
    set(q, 5);
    b.loadStateDict(a.stateDict());
    b.step();
    expect(first(q)).toBe(3);
  });

  test("bad input", () => {
    const p = of(1);
    expect(() => lookahead({ tensors: [p], every: 0, decay: 0.5 })).toThrow("lookahead: every is 0");
    expect(() => lookahead({ tensors: [p], every: 1, decay: 1.5 })).toThrow("lookahead: decay is 1.5");
    const slow = lookahead({ tensors: [p], every: 1, decay: () => -1 });
    expect(() => slow.step()).toThrow(ArgumentError);
    const counters = new Map([["step", 1]]);
    expect(() => slow.loadStateDict({ tensors: new Map(), counters })).toThrow(
      "lookahead: tensor 0 of the state is missing",
    );
    expect(() =>
      slow.loadStateDict({
        tensors: new Map([
          ["0", of(1)],
          ["1", of(1)],
        ]),
        counters,
      }),
    ).toThrow("lookahead: the state has 2 tensors, expected 1");
    expect(() => slow.loadStateDict({ tensors: new Map([["0", of(1)]]), counters: new Map() })).toThrow(
      "lookahead: step is NaN",
    );
  });
});
