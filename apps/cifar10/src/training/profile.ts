/** Where the time of a training goes: `--profile`. */
import type { Backend } from "@striate/core";
import type { Batch, BatchSequence } from "@striate/data";
import type { Callback } from "@striate/train";
import type { Reporter } from "../reporter.js";
import { aligned } from "../text-table.js";
import { type OpTime, timedBackend } from "./timed-backend.js";

/** Seconds. */
export interface LoopTimes {
  /** From the first batch that counts to the last report. */
  readonly total: number;
  /** Choosing, augmenting, normalizing and uploading the images of the batches. */
  readonly data: number;
  /** Kernels, as far as they can be told: on WebGPU they run beside everything else. */
  readonly kernels: number;
  /** Forward, backward and update without what the kernels take. */
  readonly dispatch: number;
  /** All else: waiting for numbers, reports, metrics; checkpoints and validations, where they come in between. */
  readonly rest: number;
}

export interface Profile {
  /** To train on. */
  readonly backend: Backend;
  readonly callback: Callback;
  /** Counts the time that the batches take. */
  sequence(batches: BatchSequence): BatchSequence;
  report(reporter: Pick<Reporter, "event">): Promise<void>;
}

interface Profiled {
  profile(): readonly OpTime[] | null;
}

const hasProfile = (backend: Backend): backend is Backend & Profiled => "profile" in backend;

/** The first steps compile and fill caches; they are not counted. */
const warmUp = 2;

export const createProfile = (inner: Backend): Profile => {
  const timed = inner.caps.syncRead ? timedBackend(inner) : undefined;
  /** Batches that were asked for, and reports that were heard. */
  let asked = 0;
  let heard = 0;
  let began = Number.NaN;
  let ended = Number.NaN;
  let data = 0;
  let stepping = 0;
  let stepBegan = Number.NaN;
  const counts = (): boolean => asked > warmUp;
  const callback: Callback = {
    beforeStep: () => {
      stepBegan = performance.now();
      if (timed) timed.counting = counts();
    },
    afterStep: () => {
      if (timed) timed.counting = false;
      if (counts()) stepping += performance.now() - stepBegan;
    },
    onStep: () => {
      heard++;
      ended = performance.now();
    },
  };
  const sequence = (batches: BatchSequence): BatchSequence => ({
    total: batches.total,
    *[Symbol.iterator](): Iterator<Batch> {
      const iterator = batches[Symbol.iterator]();
      try {
        for (;;) {
          const start = performance.now();
          if (asked === warmUp) began = start;
          const { done, value } = iterator.next();
          if (done) return;
          asked++;
          if (counts()) data += performance.now() - start;
          yield value;
        }
      } finally {
        iterator.return?.();
      }
    },
  });
  const opTimes = async (): Promise<readonly OpTime[] | null> => {
    if (timed) return timed.report();
    if (!hasProfile(inner)) return null;
    await inner.sync();
    return inner.profile();
  };
  return {
    backend: timed?.backend ?? inner,
    callback,
    sequence,
    report: async (reporter) => {
      const ops = await opTimes();
      const counted = heard - warmUp;
      if (counted < 1) {
        reporter.event(
          { event: "profile", steps: 0 },
          () => `nothing to profile: the first ${warmUp} steps are not counted`,
        );
        return;
      }
      const kernels = timed ? (ops ?? []).reduce((sum, { milliseconds }) => sum + milliseconds, 0) : 0;
      const milliseconds = {
        total: ended - began,
        data,
        kernels,
        dispatch: Math.max(0, stepping - kernels),
        rest: Math.max(0, ended - began - data - stepping),
      };
      const seconds = Object.fromEntries(
        Object.entries(milliseconds).map(([name, value]) => [name, value / 1000]),
      ) as unknown as LoopTimes;
      reporter.event({ event: "profile", steps: counted, seconds, ops }, ({ bold, dim }) => {
        const rows = Object.entries(milliseconds).map(([name, value]) => [
          name,
          (value / counted).toFixed(2),
          `${((100 * value) / milliseconds.total).toFixed(1)} %`,
        ]);
        const kernelRows = (ops ?? []).map(({ op, dispatches, milliseconds: ms, share, gigaflops }) => [
          op,
          `${dispatches}`,
          ms.toFixed(1),
          `${(100 * share).toFixed(1)} %`,
          gigaflops > 0 ? gigaflops.toFixed(1) : "",
        ]);
        return [
          bold(`${counted} steps, ms a step`),
          ...aligned(rows),
          ...(timed ? [] : [dim("the device computes beside the program: its kernels are in none of these")]),
          "",
          ...(ops === null
            ? ["this backend, or its device, cannot tell the time of single kernels"]
            : aligned([["op", "dispatches", "ms", "share", "GFLOP/s"], ...kernelRows])),
        ].join("\n");
      });
    },
  };
};
