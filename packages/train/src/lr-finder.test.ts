import { crossEntropy } from "@striate/core";
import { dropout, flatten, linear, sequential } from "@striate/nn";
import { sgd } from "@striate/optim";
import { describe, expect, test } from "vitest";
import { fit } from "./fit.js";
import { type LrFindOptions, lrFind } from "./lr-finder.js";
import { captureState } from "./state.js";
import { alive, classes, createProblem } from "./testing/problem.js";

const layer = sequential([flatten(), dropout(0.1), linear(16, classes)]);

describe("lrFind", () => {
  test("rates grow exponentially, and the test ends when the loss diverges", async () => {
    const problem = await createProblem({ layer });
    const { points, suggestion, diverged } = await lrFind({ ...problem, from: 1e-4, to: 1e4, steps: 81 });
    expect(diverged).toBe(true);
    expect(points.length).toBeLessThan(81);
    points.forEach(({ lr }, i) => {
      expect(lr).toBeCloseTo(1e-4 * 10 ** (i / 10), 8);
    });
    expect(suggestion).toBeGreaterThan(1e-3);
    expect(suggestion).toBeLessThan(points.at(-1)?.lr as number);
    // With the rate found, training works.
    for (const group of problem.optimizer.groups) group.lr = suggestion as number;
    const { loss } = await fit({ ...problem, epochs: 40 });
    expect(loss).toBeLessThan(0.7 * (points[0]?.loss as number));
  });

  test("the smoothed loss is the average without the bias of its beginning", async () => {
    const { points } = await lrFind({ ...(await createProblem()), from: 1e-6, to: 1e-5, steps: 6, smoothing: 0.5 });
    expect(points).toHaveLength(6);
    let sum = 0;
    let weights = 0;
    for (const { loss, smoothed } of points) {
      sum = 0.5 * sum + loss;
      weights = 0.5 * weights + 1;
      expect(smoothed).toBeCloseTo(sum / weights, 10);
    }
  });

  test("a loss that only grows suggests nothing", async () => {
    const problem = await createProblem();
    let calls = 0;
    const loss = (...[logits, labels]: Parameters<typeof problem.loss>) =>
      crossEntropy(logits, labels)
        .mul(0)
        .add(1.5 ** calls++);
    const { points, suggestion, diverged } = await lrFind({ ...problem, loss });
    expect(points.length).toBeGreaterThan(1);
    expect([suggestion, diverged]).toEqual([undefined, true]);
  });

  test("groups keep the proportions of their rates", async () => {
    const problem = await createProblem();
    const [weight, bias] = problem.net.parameters();
    const optimizer = sgd(
      [
        { params: [weight as never], lr: 0.2 },
        { params: [bias as never], lr: 0.6 },
      ],
      {},
    );
    const seen: number[] = [];
    const watched = {
      ...problem,
      optimizer: Object.assign(Object.create(optimizer), {
        groups: optimizer.groups,
        trainable: () => optimizer.trainable(),
        stateDict: () => optimizer.stateDict(),
        loadStateDict: (state: never) => optimizer.loadStateDict(state),
        apply: (grads: never) => {
          seen.push((optimizer.groups[1]?.lr as number) / (optimizer.groups[0]?.lr as number));
          optimizer.apply(grads);
        },
      }) as typeof optimizer,
    };
    await lrFind({ ...watched, steps: 5 });
    expect(seen).toHaveLength(5);
    for (const ratio of seen) expect(ratio).toBeCloseTo(3, 10);
    expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.2, 0.6]);
  });

  test.each(["diverges", "fails"])("everything is what it was, also when it %s", async (how) => {
    const problem = await createProblem({ layer });
    await fit({ ...problem, epochs: 1 });
    problem.net.eval();
    const before = await captureState(problem);
    const used = alive(problem.backend);
    let calls = 0;
    const finding = lrFind({
      ...problem,
      to: 1e30,
      loss: (logits, labels) => {
        if (how === "fails" && ++calls === 7) throw new Error("as arranged");
        return crossEntropy(logits, labels);
      },
    });
    if (how === "fails") await expect(finding).rejects.toThrow("as arranged");
    else expect((await finding).diverged).toBe(true);
    expect(await captureState(problem)).toEqual(before);
    expect(alive(problem.backend)).toEqual(used);
    expect(problem.net.training).toBe(false);
  });

  test("a loss that becomes NaN has diverged", async () => {
    const problem = await createProblem();
    let calls = 0;
    const loss = (...[logits, labels]: Parameters<typeof problem.loss>) =>
      crossEntropy(logits, labels).mul(calls++ < 5 ? 1 : Number.NaN);
    const { points, diverged } = await lrFind({ ...problem, loss });
    expect([points.length, diverged]).toEqual([5, true]);
  });

  const wrong: Record<string, Partial<LrFindOptions>> = {
    "from 0": { from: 0 },
    "to below from": { from: 1, to: 0.1 },
    "infinite to": { to: Number.POSITIVE_INFINITY },
    "one step": { steps: 1 },
    "half a step": { steps: 2.5 },
    "smoothing 1": { smoothing: 1 },
    "divergence 1": { divergence: 1 },
  };
  test.each(Object.entries(wrong))("%s is refused", async (_, options) => {
    await expect(lrFind({ ...(await createProblem()), ...options })).rejects.toThrow(/^lrFind: /);
  });

  test("a first group whose rate is 0 is refused", async () => {
    await expect(lrFind(await createProblem({ lr: 0 }))).rejects.toThrow("lrFind: the first group has the rate 0");
  });
});
