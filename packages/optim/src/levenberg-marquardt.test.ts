import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, memoryUsage, scope, type Tensor, tensor } from "@striate/core";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import {
  crossEntropyProbe,
  type StochasticDiagonalLm,
  stochasticDiagonalLm,
  stochasticDiagonalLmRule,
} from "./levenberg-marquardt.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const constant = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  tensor(values as number[], { backend, shape, dtype: "float64" });
const param = (values: readonly number[], shape?: readonly number[]): Tensor =>
  constant(values, shape).setRequiresGrad(true);
const values = (t: Tensor): number[] => Array.from(t.dataSync());
const curvatureOf = (optimizer: StochasticDiagonalLm, index = 0): number[] =>
  values(optimizer.stateDict().tensors.get(`${index}.curvature`) as Tensor);

/** A probe whose gradient is `direction`. */
const along =
  (p: Tensor, direction: readonly number[]): (() => Tensor) =>
  () =>
    p.mul(constant(direction, p.shape)).sum();

const finite = fc.double({ min: -10, max: 10, noNaN: true });

describe("the step", () => {
  test("is lr / (mu + h) of the gradient, for each parameter its own", () => {
    const element = fc.record({ p: finite, g: finite, h: fc.double({ min: 0, max: 100, noNaN: true }) });
    fc.assert(
      fc.property(
        fc.array(element, { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 1e-3, max: 1, noNaN: true }),
        (elements, lr, mu) =>
          scope(() => {
            const of = (key: "p" | "g" | "h"): Tensor => constant(elements.map((e) => e[key]));
            const state = [{ step: 3, slots: { curvature: of("h") } }];
            const updated = stochasticDiagonalLmRule.update([of("p")], [of("g")], state, { lr, mu });
            values(updated.params[0] as Tensor).forEach((value, i) => {
              const { p, g, h } = elements[i] as (typeof elements)[number];
              expect(value).toBeCloseTo(p - (lr * g) / (mu + h), 9);
            });
            expect(updated.state[0]?.step).toBe(4);
            expect(values(updated.state[0]?.slots["curvature"] as Tensor)).toEqual(elements.map((e) => e.h));
          }),
      ),
      { numRuns: 50 },
    );
  });

  test("with the second derivatives of a quadratic, goes to its minimum at once whatever its axes", () => {
    const p = param([3, -2, 5]);
    const [scales, target] = [
      [0.01, 1, 400],
      [1, 2, 3],
    ];
    const optimizer = stochasticDiagonalLm([p], { lr: 1, mu: 1e-12 });
    optimizer.estimateCurvature([along(p, scales.map(Math.sqrt))]);
    optimizer.step(() => p.sub(constant(target)).square().mul(constant(scales)).sum().mul(0.5)).dispose();
    values(p).forEach((value, i) => {
      expect(value).toBeCloseTo(target[i] as number, 8);
    });
  });

  test("before any estimate is lr / mu of the gradient", () => {
    const p = param([1]);
    const optimizer = stochasticDiagonalLm([p], { lr: 0.01 });
    optimizer.apply([constant([2])]);
    expect(values(p)[0]).toBeCloseTo(1 - (0.01 / 0.02) * 2, 12);
  });
});

describe("estimateCurvature", () => {
  test("of linear least squares is the mean square of the inputs", () => {
    const inputs = [
      [1, 2, 0],
      [3, -1, 0],
      [0, 4, 0],
    ];
    const p = param([0.1, 0.2, 0.3]);
    const optimizer = stochasticDiagonalLm([p], { lr: 1 });
    // The second derivative of (y - t)² / 2 by y is 1: so are the squares of the signs.
    const signs = [1, -1, 1];
    optimizer.estimateCurvature(
      inputs.map((x, n) =>
        along(
          p,
          x.map((value) => value * (signs[n] as number)),
        ),
      ),
    );
    expect(curvatureOf(optimizer)).toEqual([10 / 3, 21 / 3, 0]);
  });

  test("of logistic regression tends to the mean of p(1 - p)x²", () => {
    const weight = param([0.5, -0.3, 0.8, 0.1, -0.6, 0.2], [3, 2]);
    const images = [
      [1, -2],
      [0.5, 1.5],
    ];
    const expected = scope(() => {
      const x = constant(images.flat(), [2, 2]);
      const p = x.detach().linear(weight.detach()).softmax(1);
      const variance = p.mul(p.mul(-1).add(1));
      return values(variance.transpose(0, 1).matmul(x.square()).div(2));
    });
    const draws = 500;
    const optimizer = stochasticDiagonalLm([weight], { lr: 1 });
    optimizer.estimateCurvature(
      Array.from(
        { length: 2 * draws },
        (_, i) => () =>
          crossEntropyProbe(constant(images[i % 2] as number[], [1, 2]).linear(weight), { seed: 1, offset: i }),
      ),
    );
    curvatureOf(optimizer).forEach((value, i) => {
      expect(Math.abs(value / (expected[i] as number) - 1)).toBeLessThan(0.15);
    });
  });

  test("of a network that is sure is 0, not NaN", () => {
    const logits = param([0, 2000, -2000], [1, 3]);
    const optimizer = stochasticDiagonalLm([logits], { lr: 1 });
    optimizer.estimateCurvature([() => crossEntropyProbe(logits, { seed: 0 })]);
    expect(curvatureOf(optimizer).map(Math.abs)).toEqual([0, 0, 0]);
  });

  test("replaces the one before, keeps the count of steps and outlives a scope", () => {
    const p = param([1, 1]);
    const optimizer = stochasticDiagonalLm([p], { lr: 0.1 });
    optimizer.estimateCurvature([along(p, [3, 3])]);
    optimizer.apply([constant([1, 1])]);
    scope(() => {
      optimizer.estimateCurvature([along(p, [1, 2])]);
    });
    expect(curvatureOf(optimizer)).toEqual([1, 4]);
    expect(optimizer.stateDict().counters.get("0.step")).toBe(1);
  });

  test("passes over frozen parameters, in groups too", () => {
    const [a, b, c] = [param([1]), param([1]).setRequiresGrad(false), param([1])];
    const optimizer = stochasticDiagonalLm([{ params: [a, b], lr: 1 }, { params: [c] }], { lr: 0.1 });
    optimizer.estimateCurvature([() => a.add(b).add(c.mul(3)).sum()]);
    expect([...optimizer.stateDict().tensors.keys()]).toEqual(["0.curvature", "2.curvature"]);
    expect(curvatureOf(optimizer, 2)).toEqual([9]);
  });

  test("keeps what was estimated before for parameters that are frozen now", () => {
    const [a, b] = [param([1]), param([1])];
    const optimizer = stochasticDiagonalLm([a, b], { lr: 0.1 });
    optimizer.estimateCurvature([() => a.mul(2).add(b.mul(3)).sum()]);
    b.setRequiresGrad(false);
    optimizer.estimateCurvature([() => a.mul(4).add(b).sum()]);
    expect([curvatureOf(optimizer), curvatureOf(optimizer, 1)]).toEqual([[16], [9]]);
  });

  test("leaks nothing, and changes nothing if a probe throws or there is none", () => {
    const p = param([1, 1]);
    const optimizer = stochasticDiagonalLm([p], { lr: 0.1 });
    optimizer.estimateCurvature([() => p.sum(), () => p.sum()]);
    const { tensors, storages } = memoryUsage(backend);
    optimizer.estimateCurvature([() => p.sum(), () => p.sum(), () => p.sum()]);
    const failing = (): Tensor => {
      p.square();
      throw new RangeError("from the probe");
    };
    expect(() => optimizer.estimateCurvature([() => p.mul(2).sum(), failing])).toThrow(RangeError);
    expect(() => optimizer.estimateCurvature([])).toThrow(ArgumentError);
    expect(() => optimizer.estimateCurvature([])).toThrow("estimateCurvature: there are no probes");
    expect(curvatureOf(optimizer)).toEqual([1, 1]);
    expect(memoryUsage(backend)).toMatchObject({ tensors, storages });
  });
});

test("resumes bit for bit from its state", () => {
  const run = (p: Tensor, optimizer: StochasticDiagonalLm): void => {
    for (let i = 0; i < 3; i++) optimizer.step(() => p.sub(0.3).square().sum()).dispose();
  };
  const make = (p: Tensor): StochasticDiagonalLm => stochasticDiagonalLm([p], { lr: 0.1, mu: 0.5 });
  const straight = param([1, -2]);
  const first = make(straight);
  first.estimateCurvature([along(straight, [1, 3])]);
  run(straight, first);
  const resumed = param(values(straight));
  const second = stochasticDiagonalLm([resumed], { lr: 7 });
  second.loadStateDict(first.stateDict());
  run(straight, first);
  run(resumed, second);
  expect(values(resumed)).toEqual(values(straight));
});

test.each([
  [{ lr: -1 }, "stochasticDiagonalLm: lr is -1, expected a finite number >= 0"],
  [{ lr: 1, mu: 0 }, "stochasticDiagonalLm: mu is 0, expected a finite number > 0"],
  [{ lr: 1, mu: Number.NaN }, "stochasticDiagonalLm: mu is NaN"],
  [{}, "stochasticDiagonalLm: lr is undefined"],
])("refuses %j", (options, message) => {
  expect(() => stochasticDiagonalLm([param([1])], options)).toThrow(ArgumentError);
  expect(() => stochasticDiagonalLm([param([1])], options)).toThrow(message);
});
