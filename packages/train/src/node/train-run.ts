import { type Metadata, tensorsToHost, weightsSha256 } from "@striate/checkpoint";
import { ArgumentError } from "@striate/core";
import { type Best, bestValidation, type MonitorOptions } from "../best.js";
import type { Callback, ValidationReport } from "../callback.js";
import type { Checkpoint } from "../checkpoint.js";
import type { FitResult } from "../fit.js";
import { metricsCallback, type RateSource } from "../metrics.js";
import { fitWithRecovery, type RecoveryOptions, type Training } from "../recover.js";
import { restoreState, type Trained } from "../state.js";
import { type Every, timer, type ValidationOptions, validation } from "../validation.js";
import type { RunFolder } from "./run-folder.js";

/** JSON for a line of the metrics. */
type Report = Readonly<Record<string, unknown>>;

/** One use of the test images. */
export interface RunTest {
  readonly which: "last" | "best";
  /** After so many steps the weights were these. */
  readonly step: number;
  /** These are the weights that the run comes to. */
  readonly selected: boolean;
}

export interface RunTraining extends Training {
  readonly optimizer: Training["optimizer"] & RateSource;
  /** `() => evaluate(net, batches(…))` on images that training does not see. Without it there is no best checkpoint. */
  readonly validate?: ValidationOptions["evaluate"] | undefined;
  /**
   * The use of the test images, once training has ended: what comes back goes into the metrics and the summary. If it
   * rejects with the reason of the `signal` that was aborted, the run was interrupted.
   */
  readonly test?: ((about: RunTest) => Promise<Report>) | undefined;
  /** Called once behind the last step, unless training was interrupted, as `lookahead.finish`. Checkpoints hold what was before. */
  finish?(): void | Promise<void>;
  /** As `finish`, where the best checkpoint has been restored: for weights that were judged as averages, `ema.finish`. */
  adopt?(): void;
  /** What was training already, though it was before the first step: initial values that are computed from data. Default 0. */
  readonly setupSeconds?: number | undefined;
  /** For `weights.safetensors`, beside `sha256` and `steps`. */
  readonly metadata?: Metadata | undefined;
}

export interface RunStart {
  /** Steps that the checkpoint has behind it from which the run goes on; undefined at its beginning. */
  readonly step: number | undefined;
}

export interface TrainRunOptions<T extends RunTraining = RunTraining>
  extends Pick<RecoveryOptions, "attempts" | "onLoss">,
    MonitorOptions {
  /**
   * A training from its beginning, on a backend of its own: called at the start, and again when that backend is lost. The
   * run folder has been rewound by then, so its metrics are those of `start`.
   */
  readonly open: (start: RunStart) => Promise<T>;
  /** Default: each epoch. There is one more behind the last step, unless training was interrupted. */
  readonly validation?: Every | undefined;
  /** Default: each epoch. There is one more after each validation that was the best so far, and whenever training ends. */
  readonly checkpoint?: Every | undefined;
  /** Goes on from the checkpoint of this step; default: from the newest. */
  readonly from?: number | undefined;
  /** For the `start` line of the metrics. */
  readonly about?: Report | ((training: T) => Report) | undefined;
  /** Called behind the `start` line: what it writes into the metrics stands before every checkpoint. */
  readonly onStart?: (() => void) | undefined;
  /**
   * The weights that the run comes to: those behind the last step, or those of the best validation if there was one.
   * Default "last". The test is of these, and of the last ones in any case.
   */
  readonly select?: "last" | "best" | undefined;
  /** What `summary.json` shall hold. Default: the figures of the `end` line, the best validation, the weights' hash, the tests. */
  readonly summary?: ((result: RunResult<T>) => object) | undefined;
}

export interface RunResult<T extends RunTraining = RunTraining> extends FitResult {
  /** With the weights that the run comes to. */
  readonly training: T;
  /** Of training, until the device had done all of it; `setupSeconds` included. */
  readonly seconds: number;
  readonly best: ValidationReport | null;
  /** Of the last checkpoint, relative to the run folder. */
  readonly checkpoint: string | undefined;
  /** Of the weights that were saved; undefined if the run was interrupted before. */
  readonly weightsSha256: string | undefined;
  readonly tests: Readonly<Partial<Record<RunTest["which"], Report>>>;
  /** What the signal ended, where `ended` is "aborted". */
  readonly interrupted: "training" | "testing" | undefined;
}

type Conclusion = Pick<RunResult, "seconds" | "weightsSha256" | "tests" | "interrupted">;

/** Chooses the weights that the run comes to, saves and tests them. */
const conclude = async (
  run: RunFolder,
  training: RunTraining,
  /** With what the run itself has in its checkpoints. */
  trained: Trained,
  { ended, steps, seconds: stepping }: FitResult,
  select: TrainRunOptions["select"],
): Promise<Conclusion> => {
  const { net, signal, metadata, setupSeconds = 0 } = training;
  const tests: Partial<Record<RunTest["which"], Report>> = {};
  if (ended === "aborted")
    return { seconds: setupSeconds + stepping, weightsSha256: undefined, tests, interrupted: "training" };
  await training.finish?.();
  // Reading the weights waits for the device: only now has all of the work been done.
  const reading = performance.now();
  let weights = await tensorsToHost(net.stateDict());
  const seconds = setupSeconds + stepping + (performance.now() - reading) / 1000;
  let sha256: string | undefined;
  const look = async (about: RunTest): Promise<void> => {
    const report = await training.test?.(about);
    if (!report) return;
    tests[about.which] = report;
    run.event({ event: "test", which: about.which, ...report });
  };
  const conclusion = (interrupted?: "testing"): Conclusion => ({ seconds, weightsSha256: sha256, tests, interrupted });
  try {
    const best = select === "best" ? await run.best() : undefined;
    if (best) {
      await look({ which: "last", step: steps, selected: false });
      restoreState(best.states, trained);
      training.adopt?.();
      weights = await tensorsToHost(net.stateDict());
    }
    const hash = await weightsSha256(weights);
    await run.saveWeights(weights, { ...metadata, sha256: hash, steps: `${steps}` });
    sha256 = hash;
    await look({ which: best ? "best" : "last", step: best?.progress.step ?? steps, selected: true });
    return conclusion();
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return conclusion("testing");
    throw error;
  }
};

/**
 * Trains in a run folder: from its newest checkpoint if it has one, otherwise from the beginning. Steps, epochs,
 * validations and checkpoints go into the metrics. A run that was killed at any moment and is trained again ends with the
 * weights and metrics (but for times and `resume` lines) of one that was not. Lost backends are recovered from.
 *
 * Unless it was interrupted, the run gets `weights.safetensors` (those of `select`), test results and `summary.json` in the
 * end. The folder stays open, and the training in the result is the caller's to dispose of.
 *
 * @throws as `fitWithRecovery`, and what the run folder and the hooks throw; the metrics end with `ended: "failed"` then,
 * and the training has been disposed of.
 */
export const trainRun = async <T extends RunTraining>(
  run: RunFolder,
  {
    open,
    validation: validationTimes,
    checkpoint: checkpointTimes,
    from,
    about,
    onStart,
    select = "last",
    summary,
    attempts,
    onLoss,
    ...monitor
  }: TrainRunOptions<T>,
): Promise<RunResult<T>> => {
  const isTime = timer("trainRun: checkpoint", checkpointTimes ?? {});
  if (select !== "last" && select !== "best")
    throw new ArgumentError(`trainRun: select is ${JSON.stringify(select)}, expected "last" or "best"`);
  let training: T | undefined;
  let best: Best = bestValidation(monitor);
  let improved = false;
  let checkpoint: Checkpoint | undefined;
  let file: string | undefined;
  let rewound = false;
  /** Of stepping, so far. */
  let stepping = (): number => 0;

  const withRun = (opened: T): Training => {
    const { validate, extras } = opened;
    if (extras && Object.hasOwn(extras, "run"))
      throw new ArgumentError("trainRun: the extra run is its own, expected another name");
    const judge: Callback = {
      beforeEpoch: (_, control) => {
        stepping = () => control.seconds;
      },
      onValidation: (report) => {
        improved = best.update(report) || improved;
      },
    };
    if (!checkpoint) {
      run.event({ event: "start", ...(typeof about === "function" ? about(opened) : about) });
      onStart?.();
    }
    return {
      ...opened,
      extras: { ...extras, run: best },
      callbacks: [
        ...(opened.callbacks ?? []),
        metricsCallback(run.event, opened.optimizer),
        judge,
        ...(validate ? [validation({ ...validationTimes, atEnd: true, evaluate: validate })] : []),
      ],
    };
  };
  const openHere = async (): Promise<Training> => {
    checkpoint = await run.rewind(!rewound && from !== undefined ? { step: from } : {});
    rewound = true;
    improved = false;
    const { seconds: before = 0 } = checkpoint?.progress ?? {};
    stepping = () => before;
    best = bestValidation(monitor);
    training = await open({ step: checkpoint?.progress.step });
    try {
      return withRun(training);
    } catch (error) {
      training.dispose?.();
      throw error;
    }
  };
  /** What comes behind the last step. */
  const concluded = async (made: FitResult, trained: T): Promise<RunResult<T>> => {
    const { net, optimizer, extras } = trained;
    const { report } = best;
    try {
      const conclusion = await conclude(
        run,
        trained,
        { net, optimizer, extras: { ...extras, run: best } },
        made,
        select,
      );
      const { interrupted, weightsSha256, tests, seconds } = conclusion;
      const ended = interrupted ? "aborted" : made.ended;
      const result = { ...made, ...conclusion, ended, training: trained, best: report, checkpoint: file };
      const { reason, epochs, steps, images, loss } = result;
      const figures = { ended, reason, epochs, steps, images, trainLoss: loss, seconds };
      const withSpeed = { ...figures, imagesPerSecond: images / seconds };
      if (!interrupted)
        await run.writeJson("summary.json", summary?.(result) ?? { ...withSpeed, best: report, weightsSha256, tests });
      run.event({ event: "end", ...withSpeed });
      return result;
    } catch (error) {
      trained.dispose?.();
      throw error;
    }
  };

  try {
    const { net: _, ...made } = await fitWithRecovery({
      open: openHere,
      every: (moment, { ending }) => improved || ending !== undefined || isTime(moment),
      store: {
        load: async () => checkpoint,
        save: async (made) => {
          file = await run.save(made, { best: improved });
          improved = false;
        },
      },
      ...(attempts === undefined ? {} : { attempts }),
      ...(onLoss ? { onLoss } : {}),
    });
    return await concluded(made, training as unknown as T);
  } catch (error) {
    try {
      const reason = (error as Error).message;
      const seconds = (training?.setupSeconds ?? 0) + stepping();
      if (rewound) run.event({ event: "end", ended: "failed", reason, seconds });
    } catch {
      // The first error is the one to report.
    }
    throw error;
  }
};
