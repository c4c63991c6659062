/** A training as it stands between its config and `trainRun`: everything on one backend, made again when that is lost. */
import type { Backend } from "@striate/core";
import { batches, type ImageDataset } from "@striate/data";
import { type Callback, earlyStopping } from "@striate/train";
import type { RunFolder, RunTest, RunTraining } from "@striate/train/node";
import type { UiChannel } from "../commands/command.js";
import type { Config } from "../config/schema.js";
import type { Reporter } from "../reporter.js";
import { epochReports, progressLine } from "../training-reports.js";
import { type Change, liveChanges } from "../ui/changes.js";
import { createUiPort, type UiPort } from "../ui/port.js";
import type { Assembled } from "./assemble.js";
import { evaluateOn } from "./evaluation.js";
import type { Steps } from "./plan.js";
import type { Profile } from "./profile.js";
import { type Tested, testWeights } from "./testing.js";

export interface SessionPlan {
  readonly config: Config;
  readonly training: ImageDataset;
  readonly validation: ImageDataset | undefined;
  readonly test: ImageDataset;
  readonly steps: Steps;
}

export interface SessionOptions {
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  readonly ui?: UiChannel | undefined;
  /** Changes by hand to be made again. */
  readonly replay: readonly Change[];
  readonly profile?: Profile | undefined;
  /** Called behind the last step, before the test. */
  readonly onTrained: () => Promise<void>;
  /** What assembling took. */
  readonly setupSeconds: number;
}

export interface Session extends RunTraining {
  readonly backend: Backend;
  readonly net: Assembled["net"];
  readonly optimizer: Assembled["optimizer"];
  /** What the test has found so far. */
  readonly tested: ReadonlyMap<RunTest["which"], Tested & Pick<RunTest, "step">>;
  dispose(): void;
}

/** The part of the live page in it, or what makes changes again without the page. */
const liveParts = (
  run: RunFolder,
  { training, validation: heldOut }: SessionPlan,
  { net, optimizer, loss }: Assembled,
  { ui, replay, signal }: SessionOptions,
): { readonly port: UiPort | undefined; readonly callbacks: readonly Callback[] } => {
  if (!ui) {
    const callbacks = replay.length > 0 ? [liveChanges(optimizer, { recorded: replay }).callback] : [];
    return { port: undefined, callbacks };
  }
  const port = createUiPort({
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
  ui.listen(port.request);
  return { port, callbacks: [port.callback] };
};

/** The assembled training with all that watches it. Takes over `assembled`, also if it throws. */
export const openSession = (
  run: RunFolder,
  plan: SessionPlan,
  backend: Backend,
  assembled: Assembled,
  options: SessionOptions,
): Session => {
  const { config, training, validation: heldOut, test, steps } = plan;
  const { reporter, signal, profile, onTrained, setupSeconds } = options;
  const { net, optimizer, loss, transform, augment } = assembled;
  const { preset, epochs, batchSize, seed, monitor, views } = config;
  const stopping = config.earlyStopping && earlyStopping({ net, monitor, ...config.earlyStopping });
  const dispose = (): void => {
    stopping?.dispose();
    assembled.dispose();
  };
  try {
    const { port, callbacks } = liveParts(run, plan, assembled, options);
    const tested = new Map<RunTest["which"], Tested & Pick<RunTest, "step">>();
    return {
      backend,
      net,
      optimizer,
      tested,
      extras: { ...assembled.extras, ...(stopping && { earlyStopping: stopping }) },
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
        progressLine(reporter, epochs, steps.total),
        epochReports(reporter, epochs),
        ...(stopping ? [stopping] : []),
        ...callbacks,
        ...(profile ? [profile.callback] : []),
      ],
      validate:
        heldOut &&
        (async ({ step }) => {
          const evaluation = await assembled.judged(() =>
            evaluateOn(net, heldOut, { backend, views: 1, phase: "validating", reporter }),
          );
          const { labels, predictions } = evaluation;
          port?.evaluated({ dataset: heldOut, split: "validation", step, labels, predictions });
          return evaluation;
        }),
      finish: async () => {
        await onTrained();
        assembled.finish();
        reporter.progress({ phase: "testing", done: 0, total: test.count });
      },
      adopt: assembled.adopt,
      // The test images are looked at here and nowhere else.
      test: async ({ which, step, selected }) => {
        const looked = await testWeights(net, test, which, run, {
          backend,
          views,
          phase: "testing",
          reporter,
          signal,
          kept: selected,
        });
        const { labels, predictions, line } = looked;
        tested.set(which, { ...looked, step });
        if (selected) port?.evaluated({ dataset: test, split: "test", step, labels, predictions });
        return line;
      },
      setupSeconds,
      metadata: { preset, backend: backend.name, seed: `${seed}` },
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
};
