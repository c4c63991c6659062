/** A training as it stands between its config and `fit`: everything on one backend, made again when that is lost. */
import type { Backend } from "@striate/core";
import { batches, type ImageDataset } from "@striate/data";
import {
  type Callback,
  type Evaluation,
  earlyStopping,
  modelCheckpoint,
  type Stateful,
  type Training,
} from "@striate/train";
import type { RunFolder } from "@striate/train/node";
import type { UiChannel } from "../commands/command.js";
import type { Config } from "../config/schema.js";
import type { Reporter } from "../reporter.js";
import { epochReports, progressLine } from "../training-reports.js";
import { type Change, liveChanges } from "../ui/changes.js";
import { createUiPort, type UiPort } from "../ui/port.js";
import type { Assembled } from "./assemble.js";
import { evaluateOn } from "./evaluation.js";
import { metricsCallback } from "./metrics.js";
import type { Steps } from "./plan.js";
import type { Profile } from "./profile.js";

export interface SessionPlan {
  readonly config: Config;
  readonly training: ImageDataset;
  readonly validation: ImageDataset | undefined;
  readonly steps: Steps;
}

export interface SessionOptions {
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  readonly ui?: UiChannel | undefined;
  /** Changes by hand to be made again. */
  readonly replay: readonly Change[];
  readonly profile?: Profile | undefined;
}

export interface Session {
  readonly assembled: Assembled;
  /** For `fit`: nothing but `start` is missing. */
  readonly training: Training & { readonly extras: Readonly<Record<string, Stateful>> };
  readonly port: UiPort | undefined;
  dispose(): void;
}

/** Evaluates behind every so many epochs, and behind the last step unless the run is interrupted. */
const validating = (
  dataset: ImageDataset,
  every: number,
  evaluated: (dataset: ImageDataset, step: number) => Promise<Evaluation>,
): Callback => ({
  between: ({ epoch, step, epochEnd }, control) => {
    const last = control.ending === "finished" || control.ending === "stopped";
    if (!last && !(epochEnd && (epoch + 1) % every === 0)) return undefined;
    return async () => {
      const { loss, accuracy, images } = await evaluated(dataset, step);
      await control.validated({ epoch, step, loss, accuracy, images });
    };
  },
});

/** The assembled training with all that watches it. Takes over `assembled`, also if it throws. */
export const openSession = (
  run: RunFolder,
  { config, training, validation: heldOut, steps }: SessionPlan,
  backend: Backend,
  assembled: Assembled,
  { reporter, signal, ui, replay, profile }: SessionOptions,
): Session => {
  const { net, optimizer, loss, transform, augment } = assembled;
  const { epochs, batchSize, seed, monitor } = config;
  const stopping = config.earlyStopping && earlyStopping({ net, monitor, ...config.earlyStopping });
  const dispose = (): void => {
    stopping?.dispose();
    assembled.dispose();
  };
  try {
    const port =
      ui &&
      createUiPort({
        net,
        optimizer,
        loss,
        training,
        // Never the test set: nobody shall choose by it.
        examples: heldOut ?? training,
        post: ui.post,
        changed: (change) => run.event({ event: "change", ...change }),
        recorded: replay,
        signal,
      });
    if (ui && port) ui.listen(port.request);
    const changes =
      port?.callback ?? (replay.length > 0 ? liveChanges(optimizer, { recorded: replay }).callback : undefined);
    const evaluated = async (dataset: ImageDataset, step: number): Promise<Evaluation> => {
      const evaluation = await assembled.judged(() =>
        evaluateOn(net, dataset, { backend, views: 1, phase: "validating", reporter }),
      );
      const { labels, predictions } = evaluation;
      port?.evaluated({ dataset, split: "validation", step, labels, predictions });
      return evaluation;
    };
    const extras: Record<string, Stateful> = { ...assembled.extras, ...(stopping && { earlyStopping: stopping }) };
    const checkpoints = modelCheckpoint({
      trained: { net, optimizer, extras },
      save: (checkpoint, { best }) => run.save(checkpoint, { best }),
      ...(config.checkpoint.every === null ? { everyEpochs: 1 } : { everySteps: config.checkpoint.every }),
      monitor,
    });
    // A checkpoint knows what was best before it.
    extras["best"] = checkpoints;
    return {
      assembled,
      port,
      dispose,
      training: {
        net,
        optimizer,
        extras,
        loss,
        transform,
        auxiliaryWeight: config.loss.auxiliaryWeight,
        reduction: config.loss.reduction,
        epochs,
        accumulate: config.accumulate,
        nonFinite: config.nonFinite,
        ...(config.maxTime !== null && { maxSeconds: config.maxTime }),
        signal,
        batches: (epoch, start) => {
          const sequence = batches(training, {
            backend,
            size: batchSize,
            seed,
            epoch,
            start,
            augment,
            ...(config.mix && { mix: config.mix }),
            dropLast: true,
          });
          return profile?.sequence(sequence) ?? sequence;
        },
        callbacks: [
          ...assembled.callbacks,
          metricsCallback(run, optimizer),
          progressLine(reporter, epochs, steps.total),
          epochReports(reporter, epochs),
          ...(heldOut ? [validating(heldOut, config.validateEvery, evaluated)] : []),
          ...(stopping ? [stopping] : []),
          ...(changes ? [changes] : []),
          ...(profile ? [profile.callback] : []),
          checkpoints,
        ],
        dispose,
      },
    };
  } catch (error) {
    dispose();
    throw error;
  }
};
