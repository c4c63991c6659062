import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, memoryUsage, type Tensor, tensor } from "@striate/core";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { adamRule, mixedOptimizer, type Optimizer, sgd, sgdRule } from "./index.js";
import { type MuonOptions, muon, muonRule } from "./muon.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const wave = (length: number, k: number): number[] =>
  Array.from({ length }, (_, i) => (((i * 37 + k * 11) % 23) - 11) / 8);
const of = (shape: readonly number[], data: readonly number[], dtype: "float32" | "float64" = "float64"): Tensor =>
  tensor(dtype === "float32" ? Float32Array.from(data) : Float64Array.from(data), {
    backend,
    shape,
    dtype,
    requiresGrad: true,
  });
const param = (shape: readonly number[], k = 1): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return of(shape, wave(size, k));
};
const values = (t: Tensor): number[] => Array.from(t.dataSync());

/** a · b of row-major matrices. */
const product = (a: readonly number[][], b: readonly number[][]): number[][] =>
  a.map((row) => (b[0] as number[]).map((_, j) => row.reduce((sum, v, i) => sum + v * (b[i]?.[j] as number), 0)));
const transposed = (a: readonly number[][]): number[][] =>
  (a[0] as number[]).map((_, j) => a.map((row) => row[j] as number));
const rowsOf = (data: readonly number[], columns: number): number[][] =>
  Array.from({ length: data.length / columns }, (_, i) => data.slice(i * columns, (i + 1) * columns));

// Three steps of torch.optim.Muon's formulas in NumPy, float64.
const golden: readonly (readonly [readonly number[], Partial<MuonOptions>, readonly number[]])[] = [
  [
    [3, 4],
    {},
    [
      -0.001137399, -1.123136631, 0.62464972, -0.499192656, 1.248429606, 0.126516554, -0.998690568, 0.749688981,
      -0.374872972, 1.373704629, 0.251108269, -0.873311441,
    ],
  ],
  [
    [4, 2],
    { lr: 0.1, nesterov: false },
    [-0.161480718, -0.968601156, 0.718261907, -0.518482371, 1.17091164, 0.351042491, -0.793134986, 0.897945056],
  ],
  [
    [4, 1, 2, 1],
    { lr: 0.24, weightDecay: 0, momentum: 0.6, adjustLr: "none", normalizeWeights: true },
    [-0.165120273, -0.677427251, 0.639957143, -0.425529622, 0.905407102, 0.346427591, -0.657571001, 0.713872643],
  ],
  [
    [2, 5],
    { lr: 0.05, adjustLr: "matchRmsAdamw", weightDecay: 0.3 },
    [
      -0.041463748, -1.056663462, 0.610894989, -0.481073349, 1.186485102, 0.162927284, -0.950145675, 0.719081886,
      -0.373128583, 1.296098978,
    ],
  ],
];

describe("muon", () => {
  test.each(golden)("three steps of %o, %o", (shape, options, expected) => {
    const p = param(shape);
    const o = muon([p], options);
    for (const k of [2, 3, 5]) o.apply([param(shape, k)]);
    values(p).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] as number, 8);
    });
  });

  test("in float32 too", () => {
    const p = of([3, 4], wave(12, 1), "float32");
    const o = muon([p]);
    for (const k of [2, 3, 5]) o.apply([of([3, 4], wave(12, k), "float32")]);
    const [, , expected] = golden[0] as (typeof golden)[number];
    values(p).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] as number, 5);
    });
  });

  test("the update has singular values near 1, whatever the gradient's scale", () => {
    fc.assert(
      fc.property(fc.constantFrom(1e-4, 1, 1e4), fc.nat({ max: 22 }), (scale, k) => {
        const p = of([3, 5], new Array(15).fill(0));
        // Far enough from singular: zeros stay zeros.
        const g = wave(15, k).map((v, i) => scale * (v + (i % 6 === 0 ? 4 : 0)));
        muon([p], { lr: 1, weightDecay: 0, adjustLr: "none" }).apply([of([3, 5], g)]);
        const u = rowsOf(values(p), 5);
        const gram = product(u, transposed(u));
        // Eigenvalues lie within the row sums (Gershgorin); their sum is that of three squares of 0.7 to 1.2.
        const trace = gram.reduce((sum, row, i) => sum + (row[i] as number), 0);
        expect(trace).toBeGreaterThan(3 * 0.45);
        expect(trace).toBeLessThan(3 * 1.5);
        // G = U·S·Vᵀ gives U·Vᵀ: with Gᵀ it is symmetric and positive, up to the polynomial's spread.
        const with_g = product(u, transposed(rowsOf(g, 5)));
        for (const [i, row] of with_g.entries()) {
          expect(row[i]).toBeLessThan(0);
          for (const [j, value] of row.entries())
            expect(value).toBeCloseTo(with_g[j]?.[i] as number, 3 - Math.log10(scale));
        }
      }),
      { numRuns: 30 },
    );
  });

  test("the same for a matrix and its transpose", () => {
    const run = (shape: readonly number[], g: readonly number[]): number[] => {
      const p = of(shape, new Array(10).fill(0));
      muon([p], { adjustLr: "none" }).apply([of(shape, g)]);
      return values(p);
    };
    const g = wave(10, 4);
    const tall = run([5, 2], g);
    const wide = run([2, 5], transposed(rowsOf(g, 2)).flat());
    transposed(rowsOf(wide, 5))
      .flat()
      .forEach((value, i) => {
        expect(value).toBeCloseTo(tall[i] as number, 12);
      });
  });

  test("normalizeWeights gives every weight the norm √rows before the update", () => {
    const p = param([4, 3]);
    muon([p], { lr: 0, normalizeWeights: true }).apply([param([4, 3], 2)]);
    expect(Math.hypot(...values(p))).toBeCloseTo(2, 12);
  });

  test("normalizeWeights leaves a weight of zeros to its update", () => {
    const p = of([2, 3], new Array(6).fill(0)).setRequiresGrad(true);
    muon([p], { lr: 0.1, normalizeWeights: true }).apply([param([2, 3], 2)]);
    expect(values(p).every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
  });

  test("a gradient of zeros moves nothing", () => {
    const p = param([2, 3]);
    const before = values(p);
    muon([p], { lr: 0.1, weightDecay: 0 }).apply([of([2, 3], new Array(6).fill(0))]);
    expect(values(p)).toEqual(before);
  });

  test("a step leaks nothing, and resumes bit for bit", () => {
    const straight = param([2, 3]);
    const a = muon([straight]);
    const step = (p: Tensor, o: Optimizer<MuonOptions>, k: number): void => {
      const g = param(p.shape, k);
      o.apply([g]);
      g.dispose();
    };
    for (const k of [2, 3]) step(straight, a, k);
    const resumed = of([2, 3], values(straight));
    const b = muon([resumed], { lr: 1 });
    b.loadStateDict(a.stateDict());
    const usage: object[] = [];
    for (const k of [4, 5]) {
      step(straight, a, k);
      step(resumed, b, k);
      const { tensors, storages, bytes } = memoryUsage(backend);
      usage.push({ tensors, storages, bytes });
    }
    expect(values(resumed)).toEqual(values(straight));
    expect(usage[1]).toEqual(usage[0]);
    expect(usage[0]).toEqual({ tensors: 4, storages: 4, bytes: 4 * 48 });
  });

  test.each<[Partial<MuonOptions>, string]>([
    [{ lr: -1 }, "muon: lr is -1"],
    [{ momentum: 1 }, "muon: momentum is 1"],
    [{ weightDecay: Number.NaN }, "muon: weightDecay is NaN"],
    [{ nsSteps: 0 }, "muon: nsSteps is 0"],
    [{ nsCoefficients: [1, Number.NaN, 1] }, "muon: nsCoefficients[1] is NaN"],
    [{ eps: 0 }, "muon: eps is 0"],
    [{ adjustLr: "toString" as "none" }, 'muon: adjustLr is "toString", expected original, matchRmsAdamw, none'],
  ])("refuses %o", (options, message) => {
    expect(() => muon([param([2, 2])], options)).toThrow(ArgumentError);
    expect(() => muon([param([2, 2])], options)).toThrow(message);
  });

  test("refuses vectors, at once", () => {
    expect(() => muon([param([2, 2]), param([3])])).toThrow("muon: parameter 1 is [3], expected a matrix or filters");
    const hyper = muonRule.defaults as MuonOptions;
    const p = [param([3])];
    expect(() => muonRule.update(p, p, muonRule.init(p, hyper), hyper)).toThrow("muon: parameter 0 is [3]");
  });
});

describe("mixedOptimizer", () => {
  test("does what each rule does alone", () => {
    const [filters, bias, both, other] = [param([2, 3]), param([2]), param([2, 3]), param([2])];
    const mixed = mixedOptimizer([
      { rule: muonRule, params: [both], lr: 0.1 },
      { rule: sgdRule, params: [other], lr: 0.2, momentum: 0.9 },
    ]);
    expect(mixed.name).toBe("muon+sgd");
    const alone = [muon([filters], { lr: 0.1 }), sgd([bias], { lr: 0.2, momentum: 0.9 })] as const;
    for (const k of [2, 3, 5]) {
      mixed.apply([param([2, 3], k), param([2], k)]);
      alone[0].apply([param([2, 3], k)]);
      alone[1].apply([param([2], k)]);
    }
    expect(values(both)).toEqual(values(filters));
    expect(values(other)).toEqual(values(bias));
    expect(mixed.groups.map((group) => Object.keys(group).includes("rule"))).toEqual([false, false]);
  });

  test("has one state, and groups that JSON carries", () => {
    const make = (): { params: Tensor[]; o: Optimizer<{ lr: number }> } => {
      const params = [param([2, 2]), param([2])];
      const o = mixedOptimizer([
        { rule: muonRule, params: [params[0] as Tensor] },
        { rule: adamRule, params: [params[1] as Tensor] },
      ]);
      return { params, o };
    };
    const a = make();
    const b = make();
    a.o.apply([param([2, 2], 3), param([2], 3)]);
    const state = a.o.stateDict();
    expect([...state.tensors.keys()]).toEqual(["0.momentum_buffer", "1.exp_avg", "1.exp_avg_sq"]);
    b.o.loadStateDict({ ...state, groups: JSON.parse(JSON.stringify(state.groups)) });
    b.params.forEach((p, i) => {
      p.assign(a.params[i] as Tensor);
    });
    for (const { o } of [a, b]) o.apply([param([2, 2], 4), param([2], 4)]);
    expect(b.params.map(values)).toEqual(a.params.map(values));
  });

  test("is all or nothing", () => {
    const [p, q] = [param([2, 2]), param([2])];
    const o = mixedOptimizer([
      { rule: muonRule, params: [p] },
      { rule: sgdRule, params: [q], lr: 0.1 },
    ]);
    const before = [p, q].map(values);
    (o.groups[1] as { lr: number }).lr = Number.NaN;
    expect(() => o.apply([param([2, 2], 2), param([2], 2)])).toThrow("sgd: lr is NaN");
    expect([p, q].map(values)).toEqual(before);
  });

  test("refuses what its rules refuse", () => {
    const p = param([2]);
    expect(() => mixedOptimizer([])).toThrow("mixedOptimizer: no groups");
    expect(() => mixedOptimizer([{ rule: sgdRule, params: [p] }])).toThrow("sgd: lr is undefined");
    expect(() => mixedOptimizer([{ rule: muonRule, params: [p] }])).toThrow("muon: parameter 0 is [2]");
    expect(() =>
      mixedOptimizer([
        { rule: sgdRule, params: [p], lr: 1 },
        { rule: adamRule, params: [p] },
      ]),
    ).toThrow("sgd+adam: parameter 1 appears twice");
  });
});
