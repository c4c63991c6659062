/** One run, from its config to its report. */
import { join } from "node:path";
import { createBackend } from "@striate/backends";
import type { Backend } from "@striate/core";
import type { ImageDataset } from "@striate/data";
import { type Checkpoint, type FitResult, fitWithRecovery } from "@striate/train";
import { createRunFolder, openRunFolder, type RunFolder } from "@striate/train/node";
import type { CommandContext } from "../commands/command.js";
import type { Config } from "../config/schema.js";
import { environmentOf } from "../environment.js";
import type { Exit } from "../exit-codes.js";
import { prepareRunFolder } from "../output.js";
import { runName, runsFolder } from "../runs.js";
import type { Change } from "../ui/changes.js";
import { type Assembled, assemble } from "./assemble.js";
import { loadSplit, loadTrainingData } from "./data.js";
import { finishRun } from "./finish.js";
import { planSteps, shortened } from "./plan.js";
import type { Profile } from "./profile.js";
import { identityOf } from "./resume.js";
import { openSession, type Session, type SessionPlan } from "./session.js";

export interface TrainJob {
  readonly config: Config;
  /** The folder of the run; undefined for one below `runs`. */
  readonly out?: string | undefined;
  /** A run to go on with. */
  readonly resume?: string | undefined;
  /** A few batches through every stage. */
  readonly dev?: boolean | undefined;
  /** Changes by hand, of another run, to be made again. */
  readonly replay?: readonly Change[] | undefined;
  /** Files beside the report. */
  readonly csv?: boolean | undefined;
  readonly tensorboard?: boolean | undefined;
  /** Takes the time of everything. It has the backend that the training runs on. */
  readonly profile?: Profile | undefined;
}

export interface Outcome {
  readonly exit: Exit;
  /** Of the weights that the run came to; undefined if it was stopped before. */
  readonly testAccuracy: number | undefined;
}

interface Plan extends SessionPlan {
  readonly test: ImageDataset;
}

/** The data, and what the config makes of them. */
const planRun = async ({ config, dev }: TrainJob, { reporter, signal }: CommandContext): Promise<Plan> => {
  const data = await loadTrainingData(config, reporter, signal);
  const all = await loadSplit("test", config, reporter, signal);
  const { config: planned, data: used, test } = dev ? shortened(config, data, all) : { config, data, test: all };
  return { config: planned, ...used, test, steps: planSteps(planned, used.training.count) };
};

const openFolder = async (
  folder: string,
  { resume }: TrainJob,
  { config, training, validation, test }: Plan,
  backend: Backend,
  { reporter, ui }: CommandContext,
): Promise<RunFolder> => {
  const options = {
    identity: (given: unknown) => identityOf(given as Config),
    keep: config.checkpoint.keep,
    onSkipped: (file: string, error: Error) =>
      reporter.notice(`${file} cannot be used, the one before it is: ${error.message}`),
    ...(ui && { onEvent: ui.metric }),
  };
  if (resume === undefined) {
    const datasets = { training, ...(validation && { validation }), test };
    const environment = await environmentOf(backend, config.seed, datasets);
    return createRunFolder(folder, { ...options, config, environment });
  }
  const run = await openRunFolder(folder, options);
  if (ui) for (const metric of run.events()) ui.metric(metric);
  return run;
};

const isChange = (event: { readonly event: string }): boolean => event.event === "change";

/** The last session, and what came of its training. */
interface Trained {
  readonly session: Session;
  readonly backend: Backend;
  readonly result: FitResult;
}

/** Trains to the end, on new backends where one is lost. */
const trainIn = async (
  run: RunFolder,
  job: TrainJob,
  plan: Plan,
  first: { readonly backend: Backend; readonly assembled: Assembled },
  context: CommandContext,
): Promise<Trained> => {
  const { config, steps, training } = plan;
  const { reporter } = context;
  let session: Session | undefined;
  let { backend } = first;
  let checkpoint: Checkpoint | undefined;

  const start = (assembled: Assembled): void => {
    const { preset, epochs, batchSize, seed } = config;
    const about = { preset, backend: backend.name, epochs, batchSize, seed, data: training.name };
    const resumed = checkpoint?.progress.step;
    if (!checkpoint) {
      run.event({
        event: "start",
        steps: steps.total,
        ...about,
        network: config.network.name,
        parameters: assembled.net.parameters().reduce((sum, { size }) => sum + size, 0),
        classes: training.classes,
      });
      // Before their time, so that a run that is gone on with has them too.
      for (const change of job.replay ?? []) run.event({ event: "change", ...change });
    }
    reporter.event(
      { event: "start", ...about, run: run.path, ...(resumed !== undefined && { resumed }) },
      ({ bold, dim }) =>
        [
          `${bold(preset)}: ${config.network.name}, ${training.count} images of ${training.name}, ` +
            `${steps.total} steps of ${batchSize}, backend ${backend.name}, seed ${seed}`,
          ...(resumed === undefined ? [] : [`going on after ${resumed} steps`]),
          dim(run.path),
        ].join("\n"),
    );
    reporter.progress({ phase: "training", done: resumed ?? 0, total: steps.total });
  };

  const open = async () => {
    let { assembled } = first;
    const again = session !== undefined;
    if (again) {
      ({ backend } = await createBackend(config.backend));
      assembled = assemble(config, { steps: steps.total, training }, { backend, seed: config.seed });
    }
    checkpoint = await run.rewind();
    if (!again) start(assembled);
    const replay = run.events().filter(isChange) as unknown as Change[];
    session = openSession(run, plan, backend, assembled, {
      ...context,
      replay,
      profile: again ? undefined : job.profile,
    });
    return session.training;
  };
  const result = await fitWithRecovery({
    open,
    // The session has a callback of its own for checkpoints, which knows the best.
    every: () => false,
    store: { load: async () => checkpoint, save: (made) => run.save(made) },
    onLoss: (error, step) => reporter.notice(`${error.message}; going on after ${step} steps on a new backend`),
  });
  return { session: session as unknown as Session, backend, result };
};

/**
 * Trains, saves, tests. The signal ends training after the step that is running; a checkpoint and the weights are saved
 * then too. The backend stays the caller's; one in its place is disposed of here.
 *
 * @throws ConfigError, OutputError, RunError, DataError, TrainingError, CheckpointError, core's errors
 */
export const trainOnce = async (job: TrainJob, backend: Backend, context: CommandContext): Promise<Outcome> => {
  const folder = job.resume ?? job.out ?? join(runsFolder, runName(new Date(), job.config, backend.name));
  if (job.resume === undefined) await prepareRunFolder(folder);
  const plan = await planRun(job, context);
  const { config, training, steps } = plan;
  const began = performance.now();
  const assembled = assemble(config, { steps: steps.total, training }, { backend, seed: config.seed });
  const assembleSeconds = (performance.now() - began) / 1000;
  const run = await openFolder(folder, job, plan, backend, context).catch((error: unknown) => {
    assembled.dispose();
    throw error;
  });
  try {
    const trained = await trainIn(run, job, plan, { backend, assembled }, context).catch((error: unknown) => {
      run.event({ event: "end", ended: "failed", reason: (error as Error).message, seconds: 0 });
      throw error;
    });
    try {
      await job.profile?.report(context.reporter);
      return await finishRun(run, { ...plan, ...trained, ...job, config, assembleSeconds }, context);
    } finally {
      trained.session.dispose();
      if (trained.backend !== backend) trained.backend.dispose();
    }
  } finally {
    await run.close();
  }
};
