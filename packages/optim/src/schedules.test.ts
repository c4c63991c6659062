import { ArgumentError } from "@striate/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PlateauOptions, reduceLrOnPlateau } from "./plateau.js";
import {
  constantLr,
  cosineAnnealingLr,
  cosineAnnealingWarmRestarts,
  exponentialLr,
  linearLr,
  multiStepLr,
  oneCycleLr,
  piecewiseLinearLr,
  polynomialLr,
  type Schedule,
  sequentialLr,
  stepLr,
  warmup,
} from "./schedules.js";
import { camelCaseKeys, readVectors, worstRelative } from "./testing/vectors.js";

interface GoldenSchedule {
  readonly schedule: string;
  readonly base_lr: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly lr: readonly number[];
  readonly metric?: readonly number[];
}

const golden = readVectors<readonly GoldenSchedule[]>("training/schedules.json");

const make: Readonly<Record<string, (lr: number, options: never) => Schedule>> = {
  step: stepLr,
  multistep: multiStepLr,
  exponential: exponentialLr,
  cosine: cosineAnnealingLr,
  linear: linearLr,
  cosine_warm_restarts: cosineAnnealingWarmRestarts,
  one_cycle: (_, options: { maxLr: number; totalSteps: number }) => oneCycleLr(options.maxLr, options),
  polynomial: polynomialLr,
};

describe("golden schedules", () => {
  test("there is a case for each", () => {
    expect(golden.map((g) => g.schedule).sort()).toEqual([...Object.keys(make), "plateau"].sort());
  });

  test.each(golden.filter((g) => !g.metric))("$schedule $options", ({ schedule, base_lr, options, lr }) => {
    const rate = (make[schedule] as (lr: number, options: never) => Schedule)(base_lr, camelCaseKeys(options) as never);
    expect(
      worstRelative(
        lr.map((_, step) => rate(step)),
        lr,
        1e-12,
      ),
    ).toBeLessThan(1e-7);
  });

  test.each(golden.filter((g) => g.metric))("$schedule $options", ({ base_lr, options, lr, metric }) => {
    const plateau = reduceLrOnPlateau(camelCaseKeys(options) as PlateauOptions);
    let state = plateau.init(base_lr);
    const rates = (metric as readonly number[]).map((m) => {
      const { lr } = state;
      // Through JSON, as a checkpoint would carry it.
      state = plateau.update(JSON.parse(JSON.stringify(state)) as typeof state, m);
      return lr;
    });
    expect(worstRelative(rates, lr, 1e-12)).toBeLessThan(1e-7);
  });
});

describe("schedules without golden vectors", () => {
  test("piecewiseLinearLr goes through its points and is constant outside", () => {
    const rate = piecewiseLinearLr([
      [2, 0.2],
      [6.5, 1],
      [10, 0.3],
    ]);
    const expected = [
      0.2,
      0.2,
      0.2,
      0.2 + 0.8 / 4.5,
      0.2 + 1.6 / 4.5,
      0.2 + 2.4 / 4.5,
      0.2 + 3.2 / 4.5,
      0.9,
      0.7,
      0.5,
      0.3,
      0.3,
    ];
    expect(
      worstRelative(
        expected.map((_, step) => rate(step)),
        expected,
        1,
      ),
    ).toBeLessThan(1e-12);
    expect(piecewiseLinearLr([[3, 0.5]])(0)).toBe(0.5);
    expect(piecewiseLinearLr([[3, 0.5]])(9)).toBe(0.5);
  });

  test("piecewiseLinearLr stays within the rates of its points", () => {
    const points = fc
      .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.double({ min: 0, max: 2, noNaN: true })), {
        minLength: 1,
        maxLength: 5,
        selector: ([step]) => step,
      })
      .map((list) => list.sort(([a], [b]) => a - b));
    fc.assert(
      fc.property(points, fc.nat(60), (list, step) => {
        const rates = list.map(([, rate]) => rate);
        const rate = piecewiseLinearLr(list)(step);
        expect(rate).toBeGreaterThanOrEqual(Math.min(...rates) * (1 - 1e-12));
        expect(rate).toBeLessThanOrEqual(Math.max(...rates) * (1 + 1e-12));
        for (const [at, value] of list) expect(piecewiseLinearLr(list)(at)).toBe(value);
      }),
    );
  });

  test("warmup climbs to the first rate and then starts the schedule", () => {
    const rate = warmup(stepLr(0.8, { stepSize: 2, gamma: 0.5 }), { steps: 4, startFactor: 0.25 });
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(rate)).toEqual(
      [0.2, 0.35, 0.5, 0.65, 0.8, 0.8, 0.4, 0.4].map((v) => expect.closeTo(v, 12)),
    );
    expect(warmup(stepLr(0.8, { stepSize: 2 }), { steps: 0 })(0)).toBe(0.8);
  });

  test("oneCycleLr with straight lines, and at the ends of pctStart", () => {
    const rate = oneCycleLr(1, {
      totalSteps: 10,
      pctStart: 0.5,
      divFactor: 10,
      finalDivFactor: 2,
      annealStrategy: "linear",
    });
    expect(rate(0)).toBeCloseTo(0.1, 12);
    expect(rate(2)).toBeCloseTo(0.55, 12);
    expect(rate(4)).toBe(1);
    expect(rate(9)).toBeCloseTo(0.05, 12);
    expect(oneCycleLr(1, { totalSteps: 4, pctStart: 1 })(3)).toBe(1);
    expect(oneCycleLr(1, { totalSteps: 4, pctStart: 0.25 })(0)).toBe(1);
    expect(oneCycleLr(1, { totalSteps: 4, pctStart: 0 })(3)).toBeCloseTo(4e-6, 12);
  });

  test("plateau in max and abs mode, metrics that are not finite, minimal changes", () => {
    const plateau = reduceLrOnPlateau({ mode: "max", thresholdMode: "abs", threshold: 0.1, patience: 0, factor: 0.5 });
    const start = plateau.update(plateau.init(1), 0.5);
    expect(start).toEqual({ lr: 1, best: 0.5, badUpdates: 0, cooldown: 0 });
    expect(plateau.update(start, 0.7)).toMatchObject({ lr: 1, best: 0.7 });
    expect(plateau.update(start, 0.55)).toMatchObject({ lr: 0.5, best: 0.5 });
    expect(plateau.update(start, Number.NaN)).toMatchObject({ lr: 0.5, best: 0.5 });
    // JSON has neither of them.
    for (const metric of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      expect(plateau.update(plateau.init(1), metric)).toMatchObject({ lr: 0.5, best: null });
    const tiny = reduceLrOnPlateau({ patience: 0, factor: 0.5, eps: 0.6 });
    expect(tiny.update(tiny.update(tiny.init(1), 1), 2).lr).toBe(1);
  });
});

describe("bad input", () => {
  test.each([
    [() => stepLr(-1, { stepSize: 1 }), "stepLr: lr is -1"],
    [() => stepLr(Number.NaN, { stepSize: 1 }), "stepLr: lr is NaN"],
    [() => stepLr(1, { stepSize: 0 }), "stepLr: stepSize is 0, expected an integer >= 1"],
    [() => stepLr(1, { stepSize: 1 })(0.5), "stepLr: step is 0.5, expected an integer >= 0"],
    [() => multiStepLr(1, { milestones: [1, 2.5] }), "multiStepLr: milestones[1] is 2.5"],
    [() => exponentialLr(1, { gamma: -0.1 }), "exponentialLr: gamma is -0.1"],
    [() => cosineAnnealingLr(1, { tMax: 0 }), "cosineAnnealingLr: tMax is 0"],
    [() => cosineAnnealingWarmRestarts(1, { t0: 5, tMult: 0.5 }), "cosineAnnealingWarmRestarts: tMult is 0.5"],
    [() => linearLr(1, { totalIters: 0 }), "linearLr: totalIters is 0"],
    [() => polynomialLr(1, { power: -1 }), "polynomialLr: power is -1"],
    [() => oneCycleLr(1, { totalSteps: 10, pctStart: 1.5 }), "oneCycleLr: pctStart is 1.5"],
    [() => oneCycleLr(1, { totalSteps: 10, annealStrategy: "sine" as "cos" }), 'oneCycleLr: annealStrategy is "sine"'],
    [() => oneCycleLr(1, { totalSteps: 10 })(10), "oneCycleLr: step 10 is past the last one, 9"],
    [() => piecewiseLinearLr([]), "piecewiseLinearLr: no points"],
    [
      () =>
        piecewiseLinearLr([
          [1, 1],
          [1, 2],
        ]),
      "piecewiseLinearLr: the steps must increase, but 1 follows 1",
    ],
    [() => piecewiseLinearLr([[1, -1]]), "piecewiseLinearLr: rate of point 0 is -1"],
    [() => warmup(stepLr(1, { stepSize: 1 }), { steps: -1 }), "warmup: steps is -1"],
    [() => reduceLrOnPlateau({ factor: 1 }), "reduceLrOnPlateau: factor is 1"],
    [() => reduceLrOnPlateau({ patience: -1 }), "reduceLrOnPlateau: patience is -1"],
    [() => reduceLrOnPlateau({ mode: "least" as "min" }), 'reduceLrOnPlateau: mode is "least"'],
    [() => reduceLrOnPlateau({ thresholdMode: "x" as "rel" }), 'reduceLrOnPlateau: thresholdMode is "x"'],
    [() => reduceLrOnPlateau().init(-1), "reduceLrOnPlateau: lr is -1"],
  ] as const)("%#: %s", (call, message) => {
    expect(call).toThrow(ArgumentError);
    expect(call).toThrow(message);
  });
});

describe("in sequence", () => {
  const rates = (schedule: Schedule, steps: number): number[] => Array.from({ length: steps }, (_, t) => schedule(t));

  test("constantLr holds a share of the rate back at first", () => {
    expect(rates(constantLr(0.3, { factor: 0.5, totalIters: 2 }), 4)).toEqual([0.15, 0.15, 0.3, 0.3]);
    expect(rates(constantLr(3), 6)).toEqual([1, 1, 1, 1, 1, 3]);
    expect(constantLr(0.3, { totalIters: 0 })(0)).toBe(0.3);
  });

  test("sequentialLr starts each schedule from its own step 0", () => {
    const parts = [constantLr(1, { factor: 0.5, totalIters: 9 }), exponentialLr(1, { gamma: 0.5 }), () => 7];
    expect(rates(sequentialLr(parts, { milestones: [2, 5] }), 7)).toEqual([0.5, 0.5, 1, 0.5, 0.25, 7, 7]);
    // A milestone at 0 leaves the first out.
    expect(sequentialLr(parts, { milestones: [0, 3] })(0)).toBe(1);
  });

  test("warmup is linear and sequential", () => {
    const after = cosineAnnealingLr(0.4, { tMax: 6 });
    const line = linearLr(0.4, { startFactor: 0.25, totalIters: 4 });
    const both = sequentialLr([line, after], { milestones: [4] });
    const warm = warmup(after, { steps: 4, startFactor: 0.25 });
    rates(both, 10).forEach((rate, t) => {
      expect(warm(t)).toBeCloseTo(rate, 12);
    });
  });

  test("bad parameters", () => {
    expect(() => constantLr(-1)).toThrow("constantLr: lr is -1");
    expect(() => constantLr(1, { factor: Number.NaN })).toThrow("constantLr: factor is NaN");
    expect(() => constantLr(1, { totalIters: 0.5 })).toThrow("constantLr: totalIters is 0.5");
    expect(() => sequentialLr([() => 1], { milestones: [1] })).toThrow("sequentialLr: 1 schedules and 1 milestones");
    expect(() => sequentialLr([() => 1, () => 2, () => 3], { milestones: [4, 3] })).toThrow("3 follows 4");
    expect(() => sequentialLr([() => 1, () => 2], { milestones: [-1] })).toThrow("sequentialLr: milestones[0] is -1");
    expect(() => sequentialLr([() => 1, () => 2], { milestones: [1] })(0.5)).toThrow("sequentialLr: step is 0.5");
  });
});
