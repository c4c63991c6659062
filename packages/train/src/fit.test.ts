import { ArgumentError, crossEntropy, type Tensor } from "@striate/core";
import { batches } from "@striate/data";
import { dropout, flatten, linear, sequential } from "@striate/nn";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Callback, EpochReport, StepReport } from "./callback.js";
import { TrainingError } from "./errors.js";
import { evaluate } from "./evaluate.js";
import { fit, stepsOf } from "./fit.js";
import { alive, classes, createProblem } from "./testing/problem.js";

/** Writes down every call of a hook. */
const recorder = (): { log: string[]; callback: Callback } => {
  const log: string[] = [];
  return {
    log,
    callback: {
      beforeEpoch: (epoch) => void log.push(`epoch ${epoch}`),
      beforeStep: ({ epoch, step }) => void log.push(`before ${epoch}:${step}`),
      afterStep: ({ epoch, step }) => void log.push(`after ${epoch}:${step}`),
      onStep: ({ epoch, step }) => void log.push(`report ${epoch}:${step}`),
      onEpoch: ({ epoch, steps }) => void log.push(`end ${epoch} after ${steps}`),
    },
  };
};

const failure = new Error("as arranged");

describe("stepsOf", () => {
  test("decimals count as they are written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 1, max: 1000 }), (hundredths, total) => {
        expect(stepsOf(hundredths / 100, 100 * total)).toBe(hundredths * total);
      }),
    );
  });

  test("half a step is none", () => {
    expect(stepsOf(0.5, 1)).toBe(0);
    expect(stepsOf(1.5, 3)).toBe(4);
  });
});

describe("the loop", () => {
  test("learns", async () => {
    const problem = await createProblem();
    const reports: EpochReport[] = [];
    const result = await fit({
      ...problem,
      epochs: 30,
      callbacks: [{ onEpoch: (report) => void reports.push(report) }],
    });
    expect(reports).toHaveLength(30);
    expect(reports.at(-1)?.accuracy).toBeGreaterThan(0.9);
    expect(reports.at(-1)?.loss).toBeLessThan(reports[0]?.loss as number);
    expect(result).toMatchObject({
      ended: "finished",
      epochs: 30,
      steps: 120,
      images: 900,
      loss: reports.at(-1)?.loss,
    });
    expect(result.seconds).toBeCloseTo(reports.reduce((sum, { seconds }) => sum + seconds, 0));
  });

  test("is the same twice", async () => {
    const run = async (): Promise<unknown> => {
      const problem = await createProblem();
      await fit({ ...problem, epochs: 2 });
      return Promise.all(problem.net.parameters().map((parameter) => parameter.toArray()));
    };
    expect(await run()).toEqual(await run());
  });

  test("calls the hooks in order, reports one step behind", async () => {
    const { log, callback } = recorder();
    await fit({ ...(await createProblem({ count: 20 })), epochs: 2, callbacks: [callback] });
    expect(log).toEqual(
      [0, 1].flatMap((epoch) => {
        const [a, b, c] = [3 * epoch, 3 * epoch + 1, 3 * epoch + 2].map((step) => `${epoch}:${step}`);
        return [
          `epoch ${epoch}`,
          ...[`before ${a}`, `after ${a}`, `before ${b}`, `after ${b}`, `report ${a}`],
          ...[`before ${c}`, `after ${c}`, `report ${b}`, `report ${c}`],
          `end ${epoch} after 3`,
        ];
      }),
    );
  });

  test("waits for a report that takes its time", async () => {
    const done: number[] = [];
    const slow: Callback = {
      onStep: async ({ step }) => {
        await new Promise((resolve) => setTimeout(resolve, 2));
        done.push(step);
      },
      onEpoch: () => void done.push(-1),
    };
    await fit({ ...(await createProblem()), epochs: 1, callbacks: [slow] });
    expect(done).toEqual([0, 1, 2, 3, -1]);
  });

  test.each([
    [0, []],
    [0.2, []],
    [0.25, [1]],
    [1, [4]],
    [1.5, [4, 2]],
    [2.99, [4, 4, 3]],
  ])("%s epochs of 4 batches", async (epochs, steps) => {
    const problem = await createProblem();
    const reports: EpochReport[] = [];
    const result = await fit({ ...problem, epochs, callbacks: [{ onEpoch: (report) => void reports.push(report) }] });
    expect(reports.map((report) => report.steps)).toEqual(steps);
    expect(result).toMatchObject({
      ended: "finished",
      epochs: steps.length,
      steps: steps.reduce((a, b) => a + b, 0),
      images: reports.reduce((sum, { images }) => sum + images, 0),
    });
    expect(Number.isNaN(result.loss)).toBe(steps.length === 0);
  });

  // Without updates, what an epoch reports is what an evaluation finds: the smaller last batch is weighted by its images.
  test.each(["mean", "sum"] as const)("reports means over the images, for a loss that is a %s", async (reduction) => {
    const problem = await createProblem({ lr: 0 });
    const steps: StepReport[] = [];
    const epochs: EpochReport[] = [];
    await fit({
      ...problem,
      reduction,
      loss: (logits, labels) => crossEntropy(logits, labels, { reduction }),
      epochs: 1,
      callbacks: [{ onStep: (report) => void steps.push(report), onEpoch: (report) => void epochs.push(report) }],
    });
    const expected = await evaluate(problem.net, problem.batches(0));
    expect(steps.map(({ images }) => images)).toEqual([8, 8, 8, 6]);
    expect(steps.reduce((sum, { correct }) => sum + correct, 0)).toBe(expected.correct);
    expect(epochs[0]).toMatchObject({ steps: 4, images: 30, accuracy: expected.accuracy });
    expect(epochs[0]?.loss).toBeCloseTo(expected.loss, 5);
  });

  test("trains in training mode, whatever the mode was", async () => {
    const problem = await createProblem({ layer: sequential([flatten(), linear(16, classes), dropout(0.5)]) });
    problem.net.eval();
    await fit({ ...problem, epochs: 1 });
    expect(problem.net.training).toBe(true);
    expect([...problem.net.counters().values()]).toEqual([4]);
  });
});

describe("ending early", () => {
  test("the signal ends it after the step that is running", async () => {
    const problem = await createProblem();
    const before = alive(problem.backend);
    const controller = new AbortController();
    const { log, callback } = recorder();
    const stop: Callback = { afterStep: ({ step }) => step === 5 && controller.abort() };
    const result = await fit({ ...problem, epochs: 9, callbacks: [callback, stop], signal: controller.signal });
    expect(result).toMatchObject({ ended: "aborted", epochs: 2, steps: 6, images: 46 });
    expect(log.slice(-3)).toEqual(["report 1:4", "report 1:5", "end 1 after 2"]);
    problem.optimizer.dispose();
    expect(alive(problem.backend)).toEqual(before);
  });

  test("a signal that came before makes no step", async () => {
    const { log, callback } = recorder();
    const result = await fit({
      ...(await createProblem()),
      epochs: 1,
      callbacks: [callback],
      signal: AbortSignal.abort(),
    });
    expect(result).toMatchObject({ ended: "aborted", epochs: 0, steps: 0, images: 0, seconds: 0 });
    expect(result.loss).toBeNaN();
    expect(log).toEqual([]);
  });

  test("a signal with the last step changes nothing any more", async () => {
    const controller = new AbortController();
    const stop: Callback = { onEpoch: () => controller.abort() };
    const result = await fit({ ...(await createProblem()), epochs: 1, callbacks: [stop], signal: controller.signal });
    expect(result.ended).toBe("finished");
  });

  test("timers get their turn although the backend is synchronous", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 0);
    const result = await fit({ ...(await createProblem()), epochs: 1000, signal: controller.signal });
    expect(result.ended).toBe("aborted");
  });
});

describe("a device that answers late", () => {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

  test("has the next step before it has answered for the last one, and no more than that", async () => {
    const waiting: (() => void)[] = [];
    const atDispatch: number[] = [];
    let last = false;
    const problem = await createProblem({
      read: async (proceed) => {
        if (!last) await new Promise<void>((resolve) => waiting.push(resolve));
        return proceed();
      },
    });
    const watch: Callback = {
      beforeStep: () => void atDispatch.push(waiting.length),
      // The device answers for a step when it has the next one.
      afterStep: ({ step }) => {
        last = step === 3;
        for (const answer of waiting.splice(0)) answer();
      },
    };
    await fit({ ...problem, epochs: 1, callbacks: [watch] });
    // Of a report, two numbers are read: the loss and what was right.
    expect(atDispatch).toEqual([0, 2, 2, 2]);
  });

  test("has answered for everything when a failure comes out", async () => {
    const problem = await createProblem({
      read: async (proceed) => {
        await pause();
        return proceed();
      },
    });
    await fit({ ...problem, epochs: 1 });
    const before = alive(problem.backend);
    for (const hook of ["beforeStep", "afterStep", "onStep"] as const) {
      const callback: Callback = {
        [hook]: ({ step }: { step: number }) => {
          if (step === 1) throw failure;
        },
      };
      await expect(fit({ ...problem, epochs: 1, callbacks: [callback] })).rejects.toBe(failure);
      expect(alive(problem.backend)).toEqual(before);
    }
  });

  test("and fails: the error comes out once, after the reports before it", async () => {
    let reads = 0;
    const problem = await createProblem({
      read: async (proceed) => {
        // The second report fails at once, while the first is on its way.
        if (reads++ >= 2) throw failure;
        await pause();
        return proceed();
      },
    });
    const before = alive(problem.backend);
    const { log, callback } = recorder();
    const training = fit({ ...problem, epochs: 1, callbacks: [callback] });
    await expect(training).rejects.toMatchObject({ code: "kernel", cause: failure });
    expect(log.filter((line) => line.startsWith("report"))).toEqual(["report 0:0"]);
    problem.optimizer.dispose();
    expect(alive(problem.backend)).toEqual(before);
  });
});

describe("failures", () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY])("a loss of %s is a TrainingError", async (factor) => {
    const problem = await createProblem();
    const before = alive(problem.backend);
    const losses: number[] = [];
    let calls = 0;
    const training = fit({
      ...problem,
      loss: (logits, labels) => crossEntropy(logits, labels).mul(calls++ === 5 ? factor : 1),
      epochs: 9,
      callbacks: [{ onStep: ({ loss }) => void losses.push(loss) }],
    });
    await expect(training).rejects.toThrow(TrainingError);
    await expect(training).rejects.toMatchObject({
      code: "non-finite-loss",
      message: expect.stringContaining(`the loss is ${factor} at step 5 (epoch 1, batch 1)`),
    });
    expect(losses).toHaveLength(6);
    problem.optimizer.dispose();
    expect(alive(problem.backend)).toEqual(before);
  });

  test.each(["beforeEpoch", "beforeStep", "afterStep", "onStep", "onEpoch"] as const)(
    "what %s throws comes out and leaks nothing",
    async (hook) => {
      const problem = await createProblem();
      await fit({ ...problem, epochs: 1 });
      const before = alive(problem.backend);
      let calls = 0;
      // The second time: with a report under way.
      const callback: Callback = {
        [hook]: () => {
          if (++calls === 2) throw failure;
        },
      };
      await expect(fit({ ...problem, epochs: 3, callbacks: [callback] })).rejects.toBe(failure);
      expect(alive(problem.backend)).toEqual(before);
    },
  );

  const losses: Record<string, (logits: Tensor, labels: Tensor) => Tensor> = {
    throws: () => {
      throw failure;
    },
    "is no scalar": (logits) => logits,
    "does not depend on the network": (_, labels) => labels.cast("float32").mean(),
  };
  test.each(Object.entries(losses))("a loss that %s leaks nothing", async (_, loss) => {
    const problem = await createProblem();
    const before = alive(problem.backend);
    await expect(fit({ ...problem, loss, epochs: 1 })).rejects.toThrow();
    expect(alive(problem.backend)).toEqual(before);
  });

  test("what the batches throw comes out and leaks nothing", async () => {
    const problem = await createProblem();
    await fit({ ...problem, epochs: 1 });
    const before = alive(problem.backend);
    const breaking = (epoch: number) => ({
      total: 4,
      *[Symbol.iterator]() {
        for (const batch of problem.batches(epoch)) {
          if (batch.index === 2) throw failure;
          yield batch;
        }
      },
    });
    await expect(fit({ ...problem, batches: breaking, epochs: 1 })).rejects.toBe(failure);
    expect(alive(problem.backend)).toEqual(before);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("%s epochs are refused", async (epochs) => {
    await expect(fit({ ...(await createProblem()), epochs })).rejects.toThrow(ArgumentError);
  });

  test.each([0, 4])("an epoch without batches is refused, whatever its total (%i) says", async (total) => {
    const empty = () => ({ total, *[Symbol.iterator]() {} });
    const training = fit({ ...(await createProblem()), batches: empty, epochs: 2 });
    await expect(training).rejects.toThrow(/epoch 0 has no batches/);
  });
});

test("a thousand steps leave no tensor more", async () => {
  const problem = await createProblem();
  // The first step makes the momentum.
  await fit({ ...problem, epochs: 0.25 });
  const before = alive(problem.backend);
  let steps = 0;
  const count: Callback = { onStep: () => void steps++ };
  await fit({ ...problem, epochs: 250, callbacks: [count] });
  expect(steps).toBe(1000);
  expect(alive(problem.backend)).toEqual(before);
});

describe("start", () => {
  test("goes on behind the steps that were made before", async () => {
    const { dataset, backend, ...problem } = await createProblem();
    const seen: string[] = [];
    const result = await fit({
      ...problem,
      batches: (epoch, start) => batches(dataset, { backend, size: 8, seed: 1, epoch, start }),
      epochs: 3,
      start: 6,
      callbacks: [{ onStep: ({ epoch, step }) => void seen.push(`${epoch}/${step}`) }],
    });
    expect(seen).toEqual(["1/6", "1/7", "2/8", "2/9", "2/10", "2/11"]);
    expect(result).toMatchObject({ ended: "finished", epochs: 3, steps: 12 });
  });

  test.each([-1, 0.5, Number.NaN])("%d is refused", async (start) => {
    await expect(fit({ ...(await createProblem()), epochs: 1, start })).rejects.toThrow(
      `fit: start is ${start}, expected a whole number of steps`,
    );
  });
});
