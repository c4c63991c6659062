import { tensorsFromHost, tensorsToHost, weightsSha256 } from "@striate/checkpoint";
import { ArgumentError } from "@striate/core";
import { type Best, bestValidation, type MonitorOptions } from "../best.js";
import type { Callback, ValidationReport } from "../callback.js";
import { type Checkpoint, checkpointWeights } from "../checkpoint.js";
import type { FitResult } from "../fit.js";
import { fitWithRecovery, type RecoveryOptions, type Training } from "../recover.js";
import { holdState } from "../state.js";
import { type Every, timer, type ValidationOptions, validation } from "../validation.js";
import type { RunEvent, RunFolder } from "./run-folder.js";

/** JSON for a line of the metrics. */
type Report = Readonly<Record<string, unknown>>;

export interface RunTraining extends Training {
  readonly optimizer: Training["optimizer"] & { readonly groups: readonly { readonly lr: number }[] };
  /** `() => evaluate(net, batches(…))` on images that training does not see. Without it there is no best checkpoint. */
  readonly validate?: ValidationOptions["evaluate"] | undefined;
  /** The use of the test images, once training has ended: what comes back goes into the metrics and the summary. */
  readonly test?: (() => Promise<Report>) | undefined;
  /** Called once behind the last step, as `lookahead.finish`. Checkpoints hold what was before. */
  finish?(): void;
}

export interface TrainRunOptions extends Pick<RecoveryOptions, "attempts" | "onLoss">, MonitorOptions {
  /** A training from its beginning, on a backend of its own: called at the start, and again when that backend is lost. */
  readonly open: () => Promise<RunTraining>;
  /** Default: each epoch. */
  readonly validation?: Every | undefined;
  /** Default: each epoch. There is one more after each validation that was the best so far, and whenever training ends. */
  readonly checkpoint?: Every | undefined;
  /** Goes on from the checkpoint of this step; default: from the newest. */
  readonly from?: number | undefined;
  /** For the `start` line of the metrics. */
  readonly about?: Report | undefined;
}

export interface RunResult extends FitResult {
  /** With the weights behind the last step, and `finish`. */
  readonly training: RunTraining;
  readonly best: ValidationReport | null;
  /** Of the last checkpoint, relative to the run folder. */
  readonly checkpoint: string | undefined;
  /** Of the weights that were saved; undefined after an interruption. */
  readonly weightsSha256: string | undefined;
}

/** Lines for steps, epochs and validations; `step` is the number of steps made in all of them. */
const metricsLines = (run: RunFolder, { optimizer }: RunTraining): Callback => {
  /** Rates of the steps that have not been reported. */
  const rates = new Map<number, number>();
  let last = performance.now();
  return {
    beforeStep: ({ step }) => {
      rates.set(step, optimizer.groups[0]?.lr ?? 0);
    },
    onStep: ({ epoch, step, loss, correct, images, skipped }) => {
      const now = performance.now();
      const seconds = (now - last) / 1000;
      last = now;
      const lr = rates.get(step);
      rates.delete(step);
      const line = { epoch, step: step + 1, loss, accuracy: correct / images, lr, images, seconds };
      run.event({ event: "step", ...line, ...(skipped ? { skipped } : {}) });
    },
    onEpoch: ({ epoch, steps, skipped, images, loss, accuracy, seconds }) =>
      run.event({
        event: "epoch",
        epoch,
        steps,
        ...(skipped > 0 ? { skipped } : {}),
        trainLoss: loss,
        trainAccuracy: accuracy,
        imagesPerSecond: images / seconds,
        seconds,
      }),
    onValidation: (report) => run.event({ event: "validation", ...report }),
  };
};

/** What a test says of the last weights, and of those of the best validation if they are others. */
const runTests = async (
  run: RunFolder,
  training: RunTraining,
  best: Checkpoint | undefined,
): Promise<Record<string, Report>> => {
  const { net, test } = training;
  if (!test) return {};
  const tests: Record<string, Report> = { last: await test() };
  run.event({ event: "test", which: "last", ...tests["last"] });
  const [parameter] = net.parameters();
  if (!best || !parameter) return tests;
  const weights = tensorsFromHost(checkpointWeights(best), { backend: parameter.backend });
  const held = holdState(training);
  try {
    net.loadStateDict(weights);
    tests["best"] = await test();
    run.event({ event: "test", which: "best", ...tests["best"] });
  } finally {
    held.restore();
    held.release();
    for (const tensor of weights.values()) tensor.dispose();
  }
  return tests;
};

/**
 * Trains in a run folder: from its newest checkpoint if it has one, otherwise from the beginning. Steps, epochs,
 * validations and checkpoints go into the metrics. A run that was killed at any moment and is trained again ends with the
 * weights and metrics (but for times and `resume` lines) of one that was not. Lost backends are recovered from.
 *
 * Unless it was interrupted, the run gets `weights.safetensors` (those behind the last step and `finish`), test results
 * and `summary.json` in the end. The folder stays open.
 *
 * @throws as `fitWithRecovery`, and what the run folder throws.
 */
export const trainRun = async (
  run: RunFolder,
  {
    open,
    validation: validationTimes,
    checkpoint: checkpointTimes,
    from,
    about,
    attempts,
    onLoss,
    ...monitor
  }: TrainRunOptions,
): Promise<RunResult> => {
  const isTime = timer("trainRun: checkpoint", checkpointTimes ?? {});
  let training: RunTraining | undefined;
  let best: Best = bestValidation(monitor);
  let improved = false;
  let file: string | undefined;
  let first = true;

  const openHere = async (): Promise<Training> => {
    training = await open();
    best = bestValidation(monitor);
    const { validate, extras } = training;
    if (extras && Object.hasOwn(extras, "run"))
      throw new ArgumentError("trainRun: the extra run is its own, expected another name");
    const judge: Callback = {
      onValidation: (report) => {
        improved = best.update(report) || improved;
      },
    };
    return {
      ...training,
      extras: { ...extras, run: best },
      callbacks: [
        ...(training.callbacks ?? []),
        metricsLines(run, training),
        judge,
        ...(validate ? [validation({ ...validationTimes, evaluate: validate })] : []),
      ],
    };
  };
  const result = await fitWithRecovery({
    open: openHere,
    every: (moment, { ending }) => improved || ending !== undefined || isTime(moment),
    store: {
      load: async () => {
        const checkpoint = await run.rewind(first && from !== undefined ? { step: from } : {});
        improved = false;
        if (!checkpoint) run.event({ event: "start", ...about });
        first = false;
        return checkpoint;
      },
      save: async (checkpoint) => {
        file = await run.save(checkpoint, { best: improved });
        improved = false;
      },
    },
    ...(attempts === undefined ? {} : { attempts }),
    ...(onLoss ? { onLoss } : {}),
  });
  const trained = training as unknown as RunTraining;

  const { ended, reason, epochs, steps, images, loss, seconds } = result;
  const figures = { ended, reason, epochs, steps, images, trainLoss: loss, seconds, imagesPerSecond: images / seconds };
  const end: RunEvent = { event: "end", ...figures };
  let sha256: string | undefined;
  if (ended !== "aborted") {
    trained.finish?.();
    const weights = await tensorsToHost(trained.net.stateDict());
    sha256 = await weightsSha256(weights);
    await run.saveWeights(weights, { sha256, steps: `${steps}` });
    const bestCheckpoint = best.report?.step === steps ? undefined : await run.best();
    const tests = await runTests(run, trained, bestCheckpoint);
    await run.writeJson("summary.json", { ...figures, best: best.report, weightsSha256: sha256, tests });
  }
  run.event(end);
  return { ...result, training: trained, best: best.report, checkpoint: file, weightsSha256: sha256 };
};
