// What steps can be made of: parts, transforms, auxiliary outputs, soft targets; pauses, limits, and losses that are no numbers.
import { crossEntropy, type Tensor, tensor } from "@striate/core";
import { type Batch, batches, syntheticDataset } from "@striate/data";
import {
  batchNorm2d,
  build,
  conv2d,
  dropout,
  flatten,
  type Layer,
  linear,
  type Module,
  type Output,
  relu,
  sequential,
} from "@striate/nn";
import { sgd } from "@striate/optim";
import { describe, expect, test } from "vitest";
import type { Callback, Control, EpochReport, Progress, StepReport } from "./callback.js";
import { TrainingError } from "./errors.js";
import { type FitOptions, fit } from "./fit.js";
import { captureState } from "./state.js";
import { alive, classes, createProblem, type Problem } from "./testing/problem.js";

const weightsOf = (net: Module): Promise<number[][]> =>
  Promise.all(net.parameters().map(async (parameter) => Array.from(await parameter.data())));

const closeTo = (a: readonly number[][], b: readonly number[][]): void => {
  a.forEach((values, i) => {
    values.forEach((value, j) => {
      expect(value).toBeCloseTo((b[i] as number[])[j] as number, 5);
    });
  });
};

/** Reports of a run. */
const recorded = async (options: FitOptions): Promise<StepReport[]> => {
  const reports: StepReport[] = [];
  await fit({
    ...options,
    callbacks: [...(options.callbacks ?? []), { onStep: (report) => void reports.push(report) }],
  });
  return reports;
};

describe("accumulate", () => {
  test.each([
    ["mean", 2],
    ["mean", 3],
    ["sum", 4],
    // More than a batch has images.
    ["mean", 50],
  ] as const)("a %s in %i parts is the step of the whole batch", async (reduction, accumulate) => {
    const run = async (parts: number) => {
      const problem = await createProblem({ lr: reduction === "sum" ? 0.01 : 0.1 });
      const loss = (logits: Tensor, labels: Tensor): Tensor => crossEntropy(logits, labels, { reduction });
      const reports = await recorded({ ...problem, loss, reduction, accumulate: parts, epochs: 2 });
      return { reports, weights: await weightsOf(problem.net) };
    };
    const whole = await run(1);
    const parts = await run(accumulate);
    closeTo(parts.weights, whole.weights);
    parts.reports.forEach((report, i) => {
      const { loss, ...rest } = whole.reports[i] as StepReport;
      expect(report).toMatchObject(rest);
      expect(report.loss).toBeCloseTo(loss, 5);
    });
  });

  test("the loss sees parts whose images, labels and targets belong together", async () => {
    const problem = await createProblem({ count: 8 });
    const seen: number[][] = [];
    const soft = (epoch: number) => ({
      total: 1,
      *[Symbol.iterator]() {
        for (const batch of problem.batches(epoch)) yield { ...batch, targets: batch.labels };
      },
    });
    const loss = (logits: Tensor, targets: Tensor): Tensor => {
      seen.push([...targets.dataSync()]);
      expect(logits.shape).toEqual([targets.size, classes]);
      return crossEntropy(logits, targets);
    };
    await fit({ ...problem, batches: soft, loss, accumulate: 3, epochs: 1 });
    const [batch] = [...problem.batches(0)].map(({ indices }) => [...indices].map((i) => problem.dataset.labels[i]));
    expect(seen.map((part) => part.length)).toEqual([2, 3, 3]);
    expect(seen.flat()).toEqual(batch);
  });

  test("leaves no tensor, nor does a part that fails", async () => {
    const problem = await createProblem();
    await fit({ ...problem, epochs: 1, accumulate: 3 });
    const before = alive(problem.backend);
    await fit({ ...problem, epochs: 1, accumulate: 3 });
    expect(alive(problem.backend)).toEqual(before);
    let calls = 0;
    const loss = (logits: Tensor, labels: Tensor): Tensor => {
      if (++calls === 2) throw new Error("as arranged");
      return crossEntropy(logits, labels);
    };
    await expect(fit({ ...problem, loss, epochs: 1, accumulate: 3 })).rejects.toThrow("as arranged");
    expect(alive(problem.backend)).toEqual(before);
  });

  test.each([0, 1.5, -1, Number.NaN])("%d is refused", async (accumulate) => {
    await expect(fit({ ...(await createProblem()), epochs: 1, accumulate })).rejects.toThrow(
      `fit: accumulate is ${accumulate}`,
    );
  });
});

test("transform is applied to the gradient of the whole batch", async () => {
  const problem = await createProblem();
  const before = await weightsOf(problem.net);
  let calls = 0;
  const transform = (grads: readonly Tensor[]): Tensor[] => {
    calls++;
    expect(grads).toHaveLength(problem.net.parameters().length);
    return grads.map((grad) => grad.mul(0));
  };
  await fit({ ...problem, epochs: 1, accumulate: 2, transform });
  expect(calls).toBe(4);
  expect(await weightsOf(problem.net)).toEqual(before);
});

test("targets take the labels' place in the loss, not in what counts as right", async () => {
  const problem = await createProblem();
  const soft = (epoch: number) => ({
    total: 4,
    *[Symbol.iterator](): Generator<Batch> {
      for (const batch of problem.batches(epoch)) {
        const { size } = batch.labels;
        const targets = tensor(new Float32Array(size * classes).fill(1 / classes), {
          backend: problem.backend,
          shape: [size, classes],
        });
        yield { ...batch, targets };
        targets.dispose();
      }
    },
  });
  const reports = await recorded({
    ...problem,
    batches: soft,
    optimizer: sgd(problem.net.parameters(), { lr: 0 }),
    epochs: 1,
  });
  const plain = await recorded({ ...problem, optimizer: sgd(problem.net.parameters(), { lr: 0 }), epochs: 1 });
  expect(reports.map(({ correct }) => correct)).toEqual(plain.map(({ correct }) => correct));
  expect(reports.map(({ loss }) => loss)).not.toEqual(plain.map(({ loss }) => loss));
});

describe("auxiliary outputs", () => {
  const twoHeads: Layer<(x: Tensor) => Output> = (m) => {
    const trunk = m.child("trunk", flatten());
    const main = m.child("main", linear(16, classes));
    const side = m.child("side", linear(16, classes));
    return (x) => {
      const features = trunk(x);
      return m.training ? { logits: main(features), auxiliary: [side(features)] } : main(features);
    };
  };
  const train = async (auxiliaryWeight?: number) => {
    const problem = await createProblem();
    const net = build(twoHeads, { backend: problem.backend, seed: 1 });
    const optimizer = sgd(net.parameters(), { lr: 0.1 });
    const [first] = await recorded({ ...problem, net, optimizer, auxiliaryWeight, epochs: 0.25 });
    return { loss: first?.loss as number, state: new Map(await captureState({ net, optimizer })) };
  };

  test("count with their weight, in loss and gradient", async () => {
    const [none, some, all] = [await train(0), await train(), await train(1)];
    expect(some.loss - none.loss).toBeCloseTo(0.3 * (all.loss - none.loss), 5);
    const side = (run: typeof none): unknown => run.state.get("net")?.tensors.get("side.weight")?.data;
    expect(side(some)).not.toEqual(side(none));
    expect(side(all)).not.toEqual(side(some));
    const main = (run: typeof none): unknown => run.state.get("net")?.tensors.get("main.weight")?.data;
    expect(main(all)).toEqual(main(none));
  });
});

describe("a loss that is not finite", () => {
  const deep = sequential([
    conv2d(1, 2, 3, { padding: 1 }),
    batchNorm2d(2),
    relu(),
    flatten(),
    dropout(0.2),
    linear(32, classes),
  ]);
  /** Makes the weights of a layer infinite before the step `at`. */
  const spoil = (problem: Problem, name: string, at: number): Callback => ({
    beforeStep: ({ step }) => {
      if (step !== at) return;
      const parameter = problem.net.namedParameters().get(name) as Tensor;
      const spoilt = parameter.mul(Number.POSITIVE_INFINITY).detach();
      parameter.assign(spoilt);
      spoilt.dispose();
    },
  });

  test("the error names step, batch, layer and parameter", async () => {
    const problem = await createProblem({ layer: deep });
    const training = fit({ ...problem, epochs: 3, callbacks: [spoil(problem, "5.weight", 6)] });
    await expect(training).rejects.toMatchObject({
      name: "TrainingError",
      code: "non-finite-loss",
      place: { step: 6, epoch: 1, batch: 2, layer: "5", parameter: "5.weight" },
      message: expect.stringMatching(/at step 6 \(epoch 1, batch 2\); .*layer "5"; parameter 5.weight is not finite/),
    });
  });

  test("the layer is the first one, in parts too", async () => {
    const problem = await createProblem({ layer: deep });
    const training = fit({ ...problem, accumulate: 2, epochs: 3, callbacks: [spoil(problem, "0.weight", 0)] });
    await expect(training).rejects.toMatchObject({ place: { step: 0, layer: "0", parameter: "0.weight" } });
  });

  test("where the layers are finite, it is the loss", async () => {
    const problem = await createProblem();
    const loss = (logits: Tensor, labels: Tensor): Tensor => crossEntropy(logits, labels).mul(Number.NaN);
    const error = await fit({ ...problem, loss, epochs: 1 }).catch((thrown: unknown) => thrown as TrainingError);
    expect(error).toBeInstanceOf(TrainingError);
    expect((error as TrainingError).place).toEqual({ step: 0, epoch: 0, batch: 0 });
  });

  test("the net is what it was before that step, and nothing leaks", async () => {
    const problem = await createProblem({ layer: deep });
    const bad = 5;
    let before: unknown;
    let calls = 0;
    const loss = (logits: Tensor, labels: Tensor): Tensor =>
      crossEntropy(logits, labels).mul(calls++ === bad ? Number.NaN : 1);
    const watch: Callback = {
      beforeStep: async ({ step }) => {
        if (step === bad) before = await weightsOf(problem.net);
      },
    };
    await expect(fit({ ...problem, loss, epochs: 9, callbacks: [watch] })).rejects.toThrow(TrainingError);
    expect(await weightsOf(problem.net)).toEqual(before);
    expect([...problem.net.counters().values()]).toEqual([bad]);
    problem.optimizer.dispose();
    const fresh = await createProblem({ layer: deep });
    expect(alive(problem.backend)).toEqual(alive(fresh.backend));
  });

  describe("skipped", () => {
    const skipping = async (spoils: (step: number) => "loss" | "gradient" | undefined) => {
      const problem = await createProblem({ layer: deep });
      const { net, optimizer } = problem;
      const states: { readonly step: number; readonly state: unknown }[] = [];
      let current = 0;
      const loss = (logits: Tensor, labels: Tensor): Tensor => {
        const value = crossEntropy(logits, labels);
        const how = spoils(current);
        if (how === "loss") return value.mul(Number.NaN);
        // The square root of 0 has an infinite slope there.
        return how === "gradient" ? value.add(value.mul(0).sqrt()) : value;
      };
      const epochs: EpochReport[] = [];
      const watch: Callback = {
        beforeStep: async ({ step }) => {
          current = step;
          states.push({ step, state: await captureState({ net, optimizer }) });
        },
        onEpoch: (report) => void epochs.push(report),
      };
      const after: number[] = [];
      const training = recorded({
        ...problem,
        loss,
        nonFinite: "skip",
        epochs: 4,
        callbacks: [watch, { afterStep: ({ step }) => void after.push(step) }],
      });
      return { problem, training, states, epochs, after };
    };

    test.each(["loss", "gradient"] as const)(
      "a %s: net and optimizer stay as they were, and training goes on",
      async (how) => {
        const { problem, training, states, epochs, after } = await skipping((step) =>
          step === 5 || step === 6 ? how : undefined,
        );
        const reports = await training;
        expect(reports.filter(({ skipped }) => skipped).map(({ step }) => step)).toEqual([5, 6]);
        expect(after).not.toContain(5);
        expect(after).toHaveLength(14);
        for (const step of [6, 7]) expect(states[step]?.state).toEqual(states[5]?.state);
        expect(states[8]?.state).not.toEqual(states[7]?.state);
        expect(epochs.map(({ steps, skipped, images }) => [steps, skipped, images])).toEqual([
          [4, 0, 30],
          [4, 2, 14],
          [4, 0, 30],
          [4, 0, 30],
        ]);
        for (const { loss } of epochs) expect(loss).toBeGreaterThan(0);
        problem.optimizer.dispose();
        const fresh = await createProblem({ layer: deep });
        expect(alive(problem.backend)).toEqual(alive(fresh.backend));
      },
    );

    test("ten in a row end training", async () => {
      const { training } = await skipping((step) => (step >= 3 ? "loss" : undefined));
      await expect(training).rejects.toMatchObject({
        code: "non-finite-loss",
        message: expect.stringContaining("10 steps in a row were not finite, the last at step 12"),
      });
    });

    test("without a fault it trains as without the option", async () => {
      const plain = await createProblem({ layer: deep });
      await fit({ ...plain, epochs: 2 });
      const careful = await createProblem({ layer: deep });
      await fit({ ...careful, epochs: 2, nonFinite: "skip" });
      expect(await captureState(careful)).toEqual(await captureState(plain));
    });
  });

  test("another policy is refused", async () => {
    const nonFinite = "ignore" as "skip";
    await expect(fit({ ...(await createProblem()), epochs: 1, nonFinite })).rejects.toThrow('nonFinite is "ignore"');
  });
});

describe("stopping", () => {
  test("a callback stops it after the step that is running, with its reason", async () => {
    const stop: Callback = {
      onStep: ({ step }, control) => {
        if (step === 2) control.stop("enough");
        if (step === 3) control.stop("too late");
      },
    };
    const result = await fit({ ...(await createProblem()), epochs: 9, callbacks: [stop] });
    expect(result).toMatchObject({ ended: "stopped", reason: "enough", steps: 4, epochs: 1 });
  });

  test("a stop with the last step changes nothing any more", async () => {
    const stop: Callback = { onEpoch: (_, control) => control.stop("enough") };
    const result = await fit({ ...(await createProblem()), epochs: 1, callbacks: [stop] });
    expect(result.ended).toBe("finished");
    expect(result.reason).toBeUndefined();
  });

  test.each(["beforeEpoch", "beforeStep", "afterStep", "onStep", "onEpoch", "between"] as const)(
    "%s can stop it",
    async (hook) => {
      const stop: Callback = { [hook]: (_: unknown, control: Control) => control.stop(hook) };
      const result = await fit({ ...(await createProblem()), epochs: 9, callbacks: [stop] });
      expect(result).toMatchObject({ ended: "stopped", reason: hook });
      expect(result.steps).toBeLessThanOrEqual(4);
    },
  );

  test("the time is over", async () => {
    const start: Progress = {
      ...{ epoch: 1, step: 4, batch: 0, images: 30, seconds: 60, loss: 1 },
      sums: { steps: 0, skipped: 0, images: 0, loss: 0, correct: 0, seconds: 0 },
    };
    const options = { ...(await createProblem()), epochs: 3 };
    const over = await fit({ ...options, start, maxSeconds: 60 });
    expect(over).toMatchObject({ ended: "stopped", reason: "the time is over: maxSeconds is 60", steps: 4 });
    const more = await fit({ ...options, start, maxSeconds: 1e6 });
    expect(more).toMatchObject({ ended: "finished", steps: 12 });
    await expect(fit({ ...options, maxSeconds: Number.NaN })).rejects.toThrow("fit: maxSeconds is NaN");
  });
});

describe("pauses", () => {
  test("all reports are heard before a pause, and none of its time is counted", async () => {
    const log: string[] = [];
    const pause: Callback = {
      beforeStep: ({ step }) => {
        if (step !== 2) return;
        log.push("asked");
        return new Promise((resolve) => {
          setTimeout(() => {
            log.push("pause over");
            resolve();
          }, 50);
        });
      },
      onStep: ({ step }) => void log.push(`report ${step}`),
      afterStep: ({ step }) => void log.push(`after ${step}`),
    };
    await fit({ ...(await createProblem()), epochs: 1, callbacks: [pause] });
    const at = (text: string): number => log.indexOf(text);
    expect(log.slice(at("asked"), at("after 2") + 1)).toEqual(["asked", "report 1", "pause over", "after 2"]);
    expect(log.filter((line) => line.startsWith("report"))).toHaveLength(4);
  });

  test.each(["abort", "stop"] as const)("no step is made when there was an %s meanwhile", async (how) => {
    const controller = new AbortController();
    const pause: Callback = {
      beforeStep: async ({ step }, control) => {
        if (step !== 5) return;
        if (how === "abort") controller.abort();
        else control.stop("enough");
      },
    };
    const epochs: EpochReport[] = [];
    const result = await fit({
      ...(await createProblem()),
      epochs: 3,
      callbacks: [pause, { onEpoch: (report) => void epochs.push(report) }],
      signal: controller.signal,
    });
    expect(result).toMatchObject({ ended: how === "abort" ? "aborted" : "stopped", steps: 5 });
    expect(epochs.map(({ steps }) => steps)).toEqual([4, 1]);
  });
});

describe("between", () => {
  test("is asked after each step, and runs when all reports have been heard", async () => {
    const log: string[] = [];
    const watch: Callback = {
      onStep: ({ step }) => void log.push(`report ${step}`),
      onEpoch: ({ epoch }) => void log.push(`epoch ${epoch}`),
      between: ({ step, epochEnd }) => {
        log.push(`asked ${step}${epochEnd ? " at the end" : ""}`);
        return step % 2 === 0
          ? ({ step: made, sums }) => void log.push(`rest ${made}, ${sums.steps} in the epoch`)
          : undefined;
      },
    };
    await fit({ ...(await createProblem()), epochs: 1.25, callbacks: [watch] });
    expect(log).toEqual([
      ...["asked 1", "report 0", "asked 2", "report 1", "rest 2, 2 in the epoch"],
      ...["asked 3", "report 2", "report 3", "epoch 0", "asked 4 at the end", "rest 4, 0 in the epoch"],
      ...["report 4", "epoch 1", "asked 5 at the end"],
    ]);
  });

  test("its time is not counted", async () => {
    const rest: Callback = { between: () => () => new Promise((resolve) => setTimeout(resolve, 40)) };
    const seconds: number[] = [];
    const before = performance.now();
    const { seconds: all } = await fit({
      ...(await createProblem()),
      epochs: 2,
      callbacks: [rest, { onEpoch: (report) => void seconds.push(report.seconds) }],
    });
    // Eight rests, at the least as long as they asked for (a timer may be a millisecond early).
    expect(all).toBeLessThan((performance.now() - before) / 1000 - 8 * 0.038);
    expect(all).toBeCloseTo(seconds.reduce((a, b) => a + b));
  });

  test("what was put off by an interruption is asked for when the run goes on", async () => {
    const controller = new AbortController();
    const problem = await createProblem();
    const asked: string[] = [];
    let saved: Progress | undefined;
    const save: Callback = {
      between: ({ step, interrupted, epochEnd }, { ending }) => {
        asked.push(`${step} ${interrupted} ${epochEnd} ${ending}`);
        if (ending !== "aborted") return undefined;
        return (progress) => {
          saved = progress;
        };
      },
      afterStep: ({ step }) => step === 3 && controller.abort(),
    };
    await fit({ ...problem, epochs: 2, callbacks: [save], signal: controller.signal });
    expect(asked.at(-1)).toBe("4 true true aborted");
    expect(saved).toMatchObject({ epoch: 1, step: 4, batch: 0, images: 30 });
    asked.length = 0;
    await fit({ ...problem, epochs: 2, callbacks: [save], start: JSON.parse(JSON.stringify(saved)) });
    expect(asked).toEqual([
      "4 false true undefined",
      ...[5, 6, 7].map((n) => `${n} false false undefined`),
      "8 false true finished",
    ]);
  });
});

describe("progress", () => {
  const dataset = syntheticDataset({ count: 30, seed: 1, classes, channels: 1, height: 4, width: 4 });
  test("of any moment makes the rest of the run report what it would have", async () => {
    const run = async (start?: Progress) => {
      const problem = await createProblem();
      const reports: unknown[] = [];
      const marks: Progress[] = [];
      const optimizer = sgd(problem.net.parameters(), { lr: 0 });
      const result = await fit({
        ...problem,
        optimizer,
        start,
        batches: (epoch, first) =>
          batches(dataset, { backend: problem.backend, size: 8, seed: 1, epoch, start: first }),
        epochs: 2.5,
        callbacks: [
          {
            onStep: (report) => void reports.push(report),
            onEpoch: ({ seconds: _, ...report }) => void reports.push(report),
            between: () => (progress) => void marks.push(progress),
          },
        ],
      });
      const { seconds: _, progress: __, ...same } = result;
      return { reports, marks, result: same };
    };
    const whole = await run();
    expect(whole.marks).toHaveLength(10);
    for (const mark of whole.marks) {
      const rest = await run(JSON.parse(JSON.stringify(mark)));
      expect(rest.result).toEqual(whole.result);
      expect(rest.reports).toEqual(whole.reports.slice(whole.reports.length - rest.reports.length));
      expect(rest.marks).toHaveLength(whole.marks.length - mark.step);
    }
  });

  test("with epochs of another length it is refused", async () => {
    const problem = await createProblem();
    const { progress } = await fit({ ...problem, epochs: 1.5 });
    const training = fit({
      ...problem,
      batches: () => batches(dataset, { backend: problem.backend, size: 15 }),
      epochs: 3,
      start: progress,
    });
    await expect(training).rejects.toThrow("start is batch 2 of epoch 1 after 6 steps, but an epoch has 2 batches");
  });
});

test("when every parameter is frozen, fit says so", async () => {
  const problem = await createProblem();
  problem.net.freeze();
  await expect(fit({ ...problem, epochs: 1 })).rejects.toThrow("fit: every parameter is frozen");
});
