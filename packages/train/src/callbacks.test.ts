// The callbacks that come with the loop, in it.
import { ArgumentError } from "@striate/core";
import { batches } from "@striate/data";
import { describe, expect, test } from "vitest";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.js";
import { earlyStopping } from "./early-stopping.js";
import { evaluate } from "./evaluate.js";
import { fit } from "./fit.js";
import { csvLogger, jsonLogger } from "./loggers.js";
import { modelCheckpoint } from "./model-checkpoint.js";
import { overfitBatches } from "./overfit-batches.js";
import { captureState, restoreState } from "./state.js";
import { alive, createProblem, type Problem } from "./testing/problem.js";
import { validation } from "./validation.js";

/** Validations that find one loss after the other. */
const scripted = (losses: readonly number[]) => {
  let calls = 0;
  return async () => ({ loss: losses[calls++] ?? 9, accuracy: 0, images: 1 });
};
const weightsOf = ({ net }: Problem): Promise<unknown> =>
  Promise.all(net.parameters().map(async (parameter) => Array.from(await parameter.data())));

describe("validation", () => {
  test.each([
    [{}, [4, 8, 10]],
    [{ everyEpochs: 2 }, [8]],
    [{ everySteps: 3 }, [3, 6, 9]],
    [{ everySteps: 5, everyEpochs: 1 }, [4, 5, 8, 10]],
  ])("%j: after steps %j", async (every, steps) => {
    const problem = await createProblem();
    const heard: number[] = [];
    await fit({
      ...problem,
      epochs: 2.5,
      callbacks: [
        { onValidation: ({ step }) => void heard.push(step) },
        validation({ ...every, evaluate: () => evaluate(problem.net, problem.batches(0)) }),
      ],
    });
    expect(heard).toEqual(steps);
  });

  test.each([{ everyEpochs: 0 }, { everySteps: 0.5 }, { everySteps: -1 }])("%j is refused", async (every) => {
    expect(() => validation({ ...every, evaluate: scripted([]) })).toThrow(ArgumentError);
    const trained = await createProblem();
    expect(() => modelCheckpoint({ ...every, trained, save: () => {} })).toThrow(ArgumentError);
  });

  test("reports the epoch and what was found, and what it throws comes out", async () => {
    const reports: unknown[] = [];
    const problem = await createProblem();
    const evaluateOnce = async () => {
      if (reports.length > 0) throw new Error("as arranged");
      return evaluate(problem.net, problem.batches(0));
    };
    const callbacks = [
      validation({ evaluate: evaluateOnce }),
      { onValidation: (report: unknown) => void reports.push(report) },
    ];
    await expect(fit({ ...problem, epochs: 3, callbacks })).rejects.toThrow("as arranged");
    expect(reports).toEqual([
      { epoch: 0, step: 4, loss: expect.any(Number), accuracy: expect.any(Number), images: 30 },
    ]);
  });
});

describe("earlyStopping", () => {
  test("ends training when it gets no better, and gives back the best weights", async () => {
    const problem = await createProblem();
    const { net } = problem;
    const stopping = earlyStopping({ net, patience: 2 });
    const atValidation: unknown[] = [];
    const result = await fit({
      ...problem,
      epochs: 20,
      callbacks: [
        validation({ evaluate: scripted([5, 3, 4, 3, 6]) }),
        stopping,
        { onValidation: async () => void atValidation.push(await weightsOf(problem)) },
      ],
    });
    expect(result).toMatchObject({
      ended: "stopped",
      steps: 20,
      reason: "no better validation loss for 3 validations; the best was that of step 8",
    });
    expect(stopping.best).toMatchObject({ epoch: 1, step: 8, loss: 3 });
    stopping.restoreBest();
    expect(await weightsOf(problem)).toEqual(atValidation[1]);
  });

  test("goes on from its state", async () => {
    const losses = [5, 3, 4, 6, 6, 6];
    const run = async (interruptAfter?: number) => {
      let problem = await createProblem();
      let stopping = earlyStopping({ net: problem.net, patience: 2 });
      const train = (problem: Problem, epochs: number, start: number) =>
        fit({
          ...problem,
          epochs,
          start,
          batches: (epoch, first) =>
            batches(problem.dataset, { backend: problem.backend, size: 8, seed: 1, epoch, start: first }),
          callbacks: [validation({ evaluate: scripted(losses.slice(start / 4)) }), stopping],
        });
      if (interruptAfter !== undefined) {
        await train(problem, interruptAfter, 0);
        const extras = { stopping };
        const state = await captureState({ ...problem, extras });
        problem = await createProblem();
        stopping = earlyStopping({ net: problem.net, patience: 2 });
        restoreState(state, { ...problem, extras: { stopping } });
      }
      const { steps, reason } = await train(problem, 9, 4 * (interruptAfter ?? 0));
      stopping.restoreBest();
      return { steps, reason, weights: await weightsOf(problem) };
    };
    const whole = await run();
    expect(whole.steps).toBe(20);
    for (const epochs of [1, 2, 3, 4]) expect(await run(epochs)).toEqual(whole);
  });

  test("frees what it kept", async () => {
    const problem = await createProblem();
    await fit({ ...problem, epochs: 1 });
    const before = alive(problem.backend);
    const stopping = earlyStopping({ net: problem.net });
    await fit({ ...problem, epochs: 3, callbacks: [validation({ evaluate: scripted([3, 2, 1]) }), stopping] });
    stopping.dispose();
    expect(alive(problem.backend)).toEqual(before);
  });

  test("before any validation there is nothing to give back", async () => {
    const problem = await createProblem();
    const before = await weightsOf(problem);
    const stopping = earlyStopping({ net: problem.net });
    stopping.restoreBest();
    expect([await weightsOf(problem), stopping.best]).toEqual([before, null]);
  });

  test.each([-1, 1.5])("patience %d is refused", async (patience) => {
    const { net } = await createProblem();
    expect(() => earlyStopping({ net, patience })).toThrow(ArgumentError);
    const state = { tensors: new Map(), counters: new Map() };
    expect(() => earlyStopping({ net }).loadStateDict(state)).toThrow("no counter waited");
  });
});

describe("modelCheckpoint", () => {
  test("saves now and then, what is best, and the end; from any of them training goes on bit for bit", async () => {
    const problem = await createProblem();
    const saved: { readonly checkpoint: Checkpoint; readonly best: boolean }[] = [];
    const losses = [5, 3, 4, 3, 2];
    const run = (problem: Problem, start?: Checkpoint) =>
      fit({
        ...problem,
        epochs: 5,
        start: start?.progress,
        batches: (epoch, first) =>
          batches(problem.dataset, { backend: problem.backend, size: 8, seed: 1, epoch, start: first }),
        callbacks: [
          validation({ evaluate: scripted(losses) }),
          modelCheckpoint({
            trained: problem,
            everySteps: 6,
            save: (checkpoint, { best }) => void (start || saved.push({ checkpoint, best })),
          }),
        ],
      });
    await run(problem);
    expect(saved.map(({ checkpoint, best }) => [checkpoint.progress.step, best])).toEqual([
      [4, true],
      [6, false],
      [8, true],
      [12, false],
      [18, false],
      [20, true],
    ]);
    const end = await weightsOf(problem);
    for (const { checkpoint } of saved) {
      const other = await createProblem();
      const read = await decodeCheckpoint(await encodeCheckpoint(checkpoint));
      restoreState(read.states, other);
      await run(other, read);
      expect(await weightsOf(other)).toEqual(end);
    }
  });

  test("saves when training is aborted", async () => {
    const controller = new AbortController();
    const problem = await createProblem();
    const steps: number[] = [];
    await fit({
      ...problem,
      epochs: 5,
      signal: controller.signal,
      callbacks: [
        { afterStep: ({ step }) => step === 4 && controller.abort() },
        modelCheckpoint({ trained: problem, everyEpochs: 3, save: ({ progress }) => steps.push(progress.step) }),
      ],
    });
    expect(steps).toEqual([5]);
  });
});

describe("loggers", () => {
  test("jsonLogger writes a line a report", async () => {
    const lines: string[] = [];
    const problem = await createProblem();
    const callbacks = [jsonLogger((line) => void lines.push(line)), validation({ evaluate: scripted([Number.NaN]) })];
    await fit({ ...problem, epochs: 0.5, callbacks });
    const events = lines
      .join("")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events).toMatchObject([
      { event: "step", step: 1, images: 8 },
      { event: "step", step: 2, images: 8 },
      { event: "epoch", epoch: 0, steps: 2 },
      { event: "validation", step: 2, loss: null },
    ]);
  });

  test.each([
    ["epoch", ["epoch,steps,trainLoss,trainAccuracy,imagesPerSecond,seconds", /^0,2,[\d.]+,[\d.]+,[\d.e+]+,[\d.e-]+$/]],
    ["step", ["epoch,step,loss,accuracy,images", /^0,1,[\d.]+,[\d.]+,8$/, /^0,2,[\d.]+,[\d.]+,8$/]],
    ["validation", ["epoch,step,loss,accuracy,images", "0,2,7,0,1"]],
  ] as const)("csvLogger writes a table of each %s", async (kind, rows) => {
    let text = "";
    const write = (line: string): void => {
      text += line;
    };
    const problem = await createProblem();
    await fit({
      ...problem,
      epochs: 0.5,
      callbacks: [csvLogger(write, kind), validation({ evaluate: scripted([7]) })],
    });
    const lines = text.split("\r\n");
    expect(lines.pop()).toBe("");
    expect(lines).toEqual(rows.map((row) => (typeof row === "string" ? row : expect.stringMatching(row))));
  });

  test("another kind is refused", () => {
    expect(() => csvLogger(() => {}, "steps" as "step")).toThrow(/"steps", expected step, epoch, validation/);
  });
});

describe("overfitBatches", () => {
  test("gives the same batches in every epoch", async () => {
    const { batches: all } = await createProblem();
    const few = overfitBatches(all, 2);
    const seen = [0, 1].map((epoch) =>
      [...few(epoch, 0)].map(({ index, total, indices }) => ({ index, total, indices: [...indices] })),
    );
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]?.map(({ index, total }) => [index, total])).toEqual([
      [0, 2],
      [1, 2],
    ]);
    expect([...overfitBatches(all, 99)(3, 0)]).toHaveLength(4);
    expect([...few(0, 2)]).toEqual([]);
  });

  test("go to nearly no loss", async () => {
    const problem = await createProblem();
    const { loss } = await fit({ ...problem, batches: overfitBatches(problem.batches, 1), epochs: 300 });
    expect(loss).toBeLessThan(0.01);
  });

  test.each([0, 1.5, Number.NaN])("%d batches are refused", async (count) => {
    const { batches: all } = await createProblem();
    expect(() => overfitBatches(all, count)).toThrow(ArgumentError);
  });
});
