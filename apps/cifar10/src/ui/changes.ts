/** Hyperparameters that are changed while a run goes on, in such a way that it can be made again. */
import { ArgumentError } from "@striate/core";
import type { Optimizer } from "@striate/optim";
import { type Callback, mainGroupOf } from "@striate/train";
import type { Knobs } from "./protocol.js";

/** What a `change` event records. */
export interface Change {
  /** Steps made before it. */
  readonly step: number;
  /** Of the largest parameter group, in the step after it. */
  readonly lr?: number | undefined;
  /** What all learning rates of the schedule are multiplied with from then on: `lr` over the schedule's. */
  readonly lrScale?: number | undefined;
  readonly momentum?: number | undefined;
  readonly weightDecay?: number | undefined;
}

export type Wanted = Omit<Change, "step" | "lrScale">;

/** The hyperparameters of a group that changes know. */
interface Hyper {
  lr: number;
  momentum?: number;
  /** Adam's: the first is its momentum. */
  betas?: readonly [number, number];
  weightDecay?: number;
}

type AnyOptimizer = Pick<Optimizer, "groups">;

const hypersOf = (optimizer: AnyOptimizer): Hyper[] => optimizer.groups as readonly unknown[] as Hyper[];

const momentumOf = ({ momentum, betas }: Hyper): number | undefined => momentum ?? betas?.[0];

export interface LiveChanges {
  /** Goes behind all callbacks that set hyperparameters, and behind those that read them in `afterStep`. */
  readonly callback: Required<Pick<Callback, "beforeStep" | "afterStep">>;
  /** To be made before the next step. @throws ArgumentError if the optimizer cannot have it */
  request(wanted: Wanted): void;
  /** As of the last step. */
  knobs(): Knobs;
}

export interface LiveChangesOptions {
  /** Of an earlier run, or of the part of this one before it was resumed: made again at the same steps. */
  readonly recorded?: readonly Change[];
  /** Hears of every change that was requested, when it is made. */
  readonly changed?: (change: Change) => void;
}

const expectWithin = (name: string, value: number | undefined, from: number, below: number): void => {
  if (value !== undefined && !(value >= from && value < below))
    throw new ArgumentError(`change: ${name} is ${value}, expected ${from} or more and less than ${below}`);
};

/**
 * Schedules go on under a changed learning rate: it scales them, in all groups alike. A momentum replaces `momentum`, or
 * Adam's first beta, in all groups; a weight decay scales that of all groups alike, and replaces it where it was 0.
 *
 * Between steps the optimizer's groups hold what they would hold without changes, so checkpoints and schedules need not
 * know of them.
 */
export const liveChanges = (
  optimizer: AnyOptimizer,
  { recorded = [], changed }: LiveChangesOptions = {},
): LiveChanges => {
  const groups = hypersOf(optimizer);
  const main = groups[mainGroupOf(optimizer)] as Hyper;
  const waiting = [...recorded].sort((a, b) => a.step - b.step);
  let wanted: Wanted = {};
  let lrScale = 1;
  let momentum: number | undefined;
  let weightDecay: number | undefined;
  let applied: { readonly before: Hyper; readonly now: Hyper }[] = [];
  let current: Knobs | undefined;

  const knobsOf = (hyper: Hyper): Knobs => {
    const own = momentumOf(hyper);
    return {
      lr: hyper.lr,
      ...(own !== undefined && own > 0 && { momentum: own }),
      ...(hyper.weightDecay !== undefined && { weightDecay: hyper.weightDecay }),
    };
  };

  /** What somebody else has set since stays. */
  const restore = (): void => {
    applied.forEach(({ before, now }, i) => {
      const group = groups[i] as Hyper;
      if (group.lr === now.lr) group.lr = before.lr;
      if (before.momentum !== undefined && group.momentum === now.momentum) group.momentum = before.momentum;
      if (before.betas !== undefined && group.betas === now.betas) group.betas = before.betas;
      if (before.weightDecay !== undefined && group.weightDecay === now.weightDecay)
        group.weightDecay = before.weightDecay;
    });
    applied = [];
  };

  const adopt = (change: Change): void => {
    if (change.lrScale !== undefined) lrScale = change.lrScale;
    momentum = change.momentum ?? momentum;
    weightDecay = change.weightDecay ?? weightDecay;
  };

  /** A rate has to wait while the schedule's is 0: nothing could scale that. */
  const takeWanted = (step: number): void => {
    const { lr, ...others } = wanted;
    const ready = lr !== undefined && main.lr > 0;
    wanted = lr !== undefined && !ready ? { lr } : {};
    const change: Change = { step, ...others, ...(ready && { lr, lrScale: lr / main.lr }) };
    if (Object.keys(change).length === 1) return;
    adopt(change);
    changed?.(change);
  };

  const apply = (): void => {
    const mainDecay = main.weightDecay ?? 0;
    applied = groups.map((group) => {
      const before = { ...group };
      group.lr *= lrScale;
      if (momentum !== undefined && group.momentum !== undefined) group.momentum = momentum;
      if (momentum !== undefined && group.betas !== undefined) group.betas = [momentum, group.betas[1]];
      if (weightDecay !== undefined && group.weightDecay !== undefined)
        group.weightDecay = mainDecay > 0 ? group.weightDecay * (weightDecay / mainDecay) : weightDecay;
      return { before, now: { ...group } };
    });
  };

  return {
    callback: {
      beforeStep: ({ step }) => {
        // The step before may have been skipped.
        restore();
        while (waiting[0] && waiting[0].step <= step) adopt(waiting.shift() as Change);
        takeWanted(step);
        apply();
        current = knobsOf(main);
      },
      afterStep: restore,
    },
    request: (given) => {
      const own = momentumOf(main);
      expectWithin("lr", given.lr, 0, Number.POSITIVE_INFINITY);
      expectWithin("weightDecay", given.weightDecay, 0, Number.POSITIVE_INFINITY);
      expectWithin("momentum", given.momentum, 0, 1);
      // From or to 0 the optimizer's state would not be what a checkpoint of these options has.
      if (given.momentum !== undefined && !(own !== undefined && own > 0 && given.momentum > 0))
        throw new ArgumentError(`change: momentum ${given.momentum}, but the optimizer has ${own ?? "none"}`);
      if (given.weightDecay !== undefined && main.weightDecay === undefined)
        throw new ArgumentError("change: the optimizer has no weight decay");
      wanted = { ...wanted, ...given };
    },
    knobs: () => current ?? knobsOf(main),
  };
};
