/** One run, from its config to its report. */
import { join } from "node:path";
import type { Backend } from "@striate/core";
import {
  createRunFolder,
  openRunFolder,
  type RunFolder,
  type RunResult,
  type RunStart,
  trainRun,
} from "@striate/train/node";
import { openBackend } from "../backend.js";
import type { CommandContext } from "../commands/command.js";
import type { JsonObject } from "../config/merge.js";
import { keepsBest } from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import { environmentOf, withResumption } from "../environment.js";
import type { Exit } from "../exit-codes.js";
import { prepareRunFolder } from "../output.js";
import { environmentName, readEnvironment, runName, runsFolder } from "../runs.js";
import type { Change } from "../ui/changes.js";
import { type Assembled, assemble } from "./assemble.js";
import { loadSplit, loadTrainingData } from "./data.js";
import { tellEnded } from "./ended.js";
import { endOf, finishRun } from "./finish.js";
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

/** What the config made, before there is a folder to train in. */
interface Assembling {
  readonly backend: Backend;
  readonly assembled: Assembled | undefined;
  /** What that took. */
  readonly setupSeconds: number;
}

/** The data, and what the config makes of them. */
const planRun = async ({ config, dev }: TrainJob, { reporter, signal }: CommandContext): Promise<SessionPlan> => {
  const data = await loadTrainingData(config, reporter, signal);
  const all = await loadSplit("test", config, reporter, signal);
  const { config: planned, data: used, test } = dev ? shortened(config, data, all) : { config, data, test: all };
  return { config: planned, ...used, test, steps: planSteps(planned, used.training.count) };
};

const environmentIn = (
  { config, training, validation, test }: SessionPlan,
  { dev }: TrainJob,
  backend: Backend,
): Promise<JsonObject> =>
  environmentOf(backend, config.seed, { training, ...(validation && { validation }), test }, dev);

const openFolder = async (
  folder: string,
  job: TrainJob,
  plan: SessionPlan,
  backend: Backend,
  { reporter, ui }: CommandContext,
): Promise<RunFolder> => {
  const options = {
    identity: (given: unknown) => identityOf(given as Config),
    keep: plan.config.checkpoint.keep,
    onSkipped: (file: string, error: Error) => reporter.notice(`passed over ${file}: ${error.message}`),
    ...(ui && { onEvent: ui.metric }),
  };
  if (job.resume === undefined) {
    const environment = await environmentIn(plan, job, backend);
    return createRunFolder(folder, { ...options, config: plan.config, environment });
  }
  const run = await openRunFolder(folder, options);
  if (ui) for (const metric of run.events()) ui.metric(metric);
  return run;
};

const isChange = (event: { readonly event: string }): boolean => event.event === "change";

/** Trains to the end, on new backends where one is lost. Takes over what was assembled. */
const trainIn = async (
  run: RunFolder,
  job: TrainJob,
  plan: SessionPlan,
  first: Assembling,
  context: CommandContext,
): Promise<RunResult<Session>> => {
  const { config, steps, training } = plan;
  const { preset, epochs, batchSize, seed } = config;
  const { reporter } = context;
  const { setupSeconds } = first;
  let { assembled } = first;
  const about = { preset, backend: first.backend.name, epochs, batchSize, seed, data: training.name };

  const startOf = ({ net, backend }: Pick<Session, "net" | "backend">) => ({
    steps: steps.total,
    ...about,
    backend: backend.name,
    network: config.network.name,
    parameters: net.parameters().reduce((sum, { size }) => sum + size, 0),
    classes: training.classes,
  });
  /** A run that is gone on with may have become longer, or be on another backend now. */
  const renew = async (parts: Pick<Session, "net" | "backend">): Promise<void> => {
    if (JSON.stringify(run.config) !== JSON.stringify(config)) await run.writeJson("config.json", config);
    const start = startOf(parts);
    const said = run.events().findLast(({ event }) => event === "start");
    if (said && (said["epochs"] !== start.epochs || said["backend"] !== start.backend))
      run.event({ event: "start", ...start });
  };
  /** Where a run goes on, `undefined`: from its beginning, may be another machine, or another version of this program. */
  const recordResumption = async (step: number | undefined): Promise<void> => {
    const now = await environmentIn(plan, job, first.backend);
    const known = readEnvironment(run.path);
    await run.writeJson(environmentName, step === undefined ? now : withResumption(known, now, step));
  };
  const introduce = (resumed: number | undefined): void => {
    reporter.event(
      { event: "start", ...about, run: run.path, ...(resumed !== undefined && { resumed }) },
      ({ bold, dim }) =>
        [
          `${bold(preset)}: ${config.network.name}, ${training.count} images of ${training.name}, ` +
            `${steps.total} steps of ${batchSize}, backend ${about.backend}, seed ${seed}`,
          ...(resumed === undefined ? [] : [`going on after ${resumed} steps`]),
          dim(run.path),
        ].join("\n"),
    );
    reporter.progress({ phase: "training", done: resumed ?? 0, total: steps.total });
  };

  const open = async ({ step }: RunStart): Promise<Session> => {
    const replay = step === undefined ? (job.replay ?? []) : (run.events().filter(isChange) as unknown as Change[]);
    const onTrained = async () => job.profile?.report(reporter);
    const options = { ...context, replay, setupSeconds, onTrained };
    if (assembled) {
      introduce(step);
      await renew({ net: assembled.net, backend: first.backend });
      if (job.resume !== undefined) await recordResumption(step);
      const ready = assembled;
      assembled = undefined;
      return openSession(run, plan, first.backend, ready, { ...options, profile: job.profile });
    }
    const { backend } = await openBackend(config.backend);
    try {
      const again = assemble(config, { steps: steps.total, training }, { backend, seed });
      await renew({ net: again.net, backend });
      const session = openSession(run, plan, backend, again, options);
      const dispose = (): void => {
        session.dispose();
        backend.dispose();
      };
      return { ...session, dispose };
    } catch (error) {
      backend.dispose();
      throw error;
    }
  };
  try {
    return await trainRun(run, {
      open,
      about: startOf,
      // Before their time, so that a run that is gone on with has them too.
      onStart: () => {
        for (const change of job.replay ?? []) run.event({ event: "change", ...change });
      },
      validation: { everyEpochs: config.validateEvery },
      checkpoint: config.checkpoint.every === null ? { everyEpochs: 1 } : { everySteps: config.checkpoint.every },
      monitor: config.monitor,
      select: keepsBest(config) ? "best" : "last",
      summary: (result) => endOf(run, plan, result),
      onLoss: (error, step) => reporter.notice(`${error.message}; going on after ${step} steps on a new backend`),
    });
  } finally {
    assembled?.dispose();
  }
};

/**
 * Trains, saves, tests. The signal ends training after the step that is running; a checkpoint and the weights are saved
 * then too. The backend stays the caller's; one in its place is disposed of here.
 *
 * @throws ConfigError, OutputError, RunError, DataError, TrainingError, CheckpointError, core's errors
 */
export const trainOnce = async (job: TrainJob, backend: Backend, context: CommandContext): Promise<Outcome> => {
  const ended = job.resume === undefined ? undefined : await tellEnded(job.resume, job, context);
  if (ended) return ended;
  if (job.dev) context.reporter.notice("--fast-dev-run: a few batches through every stage; the figures mean nothing");
  const folder = job.resume ?? job.out ?? join(runsFolder, runName(new Date(), job.config, backend.name));
  if (job.resume === undefined) await prepareRunFolder(folder);
  const plan = await planRun(job, context);
  const { config, training, steps } = plan;
  const began = performance.now();
  const assembled = assemble(config, { steps: steps.total, training }, { backend, seed: config.seed });
  const setupSeconds = (performance.now() - began) / 1000;
  const run = await openFolder(folder, job, plan, backend, context).catch((error: unknown) => {
    assembled.dispose();
    throw error;
  });
  try {
    const result = await trainIn(run, job, plan, { backend, assembled, setupSeconds }, context);
    try {
      if (result.interrupted === "training") await job.profile?.report(context.reporter);
      return await finishRun(run, plan, result, job, context);
    } finally {
      result.training.dispose();
    }
  } finally {
    await run.close();
  }
};
