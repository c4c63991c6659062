import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Tensor, zeros } from "@striate/core";
import { adamw, type Optimizer, sgd } from "@striate/optim";
import type { Control } from "@striate/train";
import { describe, expect, test } from "vitest";
import { type Change, type LiveChangesOptions, liveChanges, type Wanted } from "./changes.js";

const backend = await createCpuBackend();
const parameter = (size: number): Tensor => zeros([size], { backend, requiresGrad: true });

const control: Control = { stop: () => {}, validated: async () => {}, ending: undefined, seconds: 0 };

/** Two groups, the second the larger one, with a schedule that falls. */
const twoGroups = () =>
  sgd(
    [
      { params: [parameter(2)], lr: 6.4, weightDecay: 0.01 },
      { params: [parameter(5)], lr: 0.1, weightDecay: 0.64, momentum: 0.9 },
    ],
    { momentum: 0.9 },
  );

interface Used {
  readonly lr: readonly number[];
  readonly weightDecay: readonly (number | undefined)[];
  readonly momentum: readonly (number | undefined)[];
}

/** What the steps see, under `lr(step) = base / (step + 1)`; `ask` is called before each step. */
const walk = (
  optimizer: Optimizer,
  steps: number,
  options: LiveChangesOptions,
  ask: (step: number, request: (wanted: Wanted) => void) => void = () => {},
  skipped: readonly number[] = [],
): Used[] => {
  const changes = liveChanges(optimizer, options);
  const bases = optimizer.groups.map(({ lr }) => lr);
  return Array.from({ length: steps }, (_, step) => {
    ask(step, changes.request);
    optimizer.groups.forEach((group, g) => {
      group.lr = (bases[g] as number) / (step + 1);
    });
    const position = { step, epoch: 0, batch: step };
    changes.callback.beforeStep(position, control);
    const groups = optimizer.groups as readonly unknown[] as { lr: number; weightDecay?: number; momentum?: number }[];
    const used = {
      lr: groups.map(({ lr }) => lr),
      weightDecay: groups.map(({ weightDecay }) => weightDecay),
      momentum: groups.map(({ momentum }) => momentum),
    };
    if (!skipped.includes(step)) changes.callback.afterStep(position, control);
    return used;
  });
};

describe("a change", () => {
  const record = () => {
    const changes: Change[] = [];
    return { changes, changed: (change: Change) => void changes.push(change) };
  };

  test("of nothing leaves everything as it is", () => {
    const optimizer = twoGroups();
    const used = walk(optimizer, 3, {});
    expect(used.map(({ lr }) => lr)).toEqual([0, 1, 2].map((step) => [6.4 / (step + 1), 0.1 / (step + 1)]));
  });

  test("of the rate holds for the main group from the next step on, scales all, and the schedule goes on", () => {
    const { changes, changed } = record();
    const used = walk(twoGroups(), 4, { changed }, (step, request) => {
      if (step === 1) request({ lr: 0.2 });
    });
    expect(changes).toEqual([{ step: 1, lr: 0.2, lrScale: 4 }]);
    expect(used.map(({ lr }) => lr[1])).toEqual([0.1, 0.2, 4 * (0.1 / 3), 4 * (0.1 / 4)]);
    expect(used.map(({ lr }) => lr[0])).toEqual([6.4, 4 * 3.2, 4 * (6.4 / 3), 4 * (6.4 / 4)]);
  });

  test("of weight decay scales the groups alike; of momentum holds in all", () => {
    const used = walk(twoGroups(), 2, {}, (step, request) => {
      if (step === 1) request({ weightDecay: 1.28, momentum: 0.5 });
    });
    expect(used[1]).toMatchObject({ weightDecay: [0.02, 1.28], momentum: [0.5, 0.5] });
  });

  test("of a weight decay that was 0 holds in all groups", () => {
    const optimizer = sgd([{ params: [parameter(1)] }, { params: [parameter(2)] }], { lr: 1 });
    const used = walk(optimizer, 1, {}, (_step, request) => request({ weightDecay: 0.1 }));
    expect(used[0]?.weightDecay).toEqual([0.1, 0.1]);
  });

  test("of momentum is Adam's first beta", () => {
    const optimizer = adamw([parameter(1)], { lr: 1 });
    const changes = liveChanges(optimizer);
    changes.request({ momentum: 0.5 });
    changes.callback.beforeStep({ step: 0, epoch: 0, batch: 0 }, control);
    expect(changes.knobs()).toMatchObject({ momentum: 0.5 });
    expect(optimizer.groups[0]).toMatchObject({ betas: [0.5, 0.999] });
    changes.callback.afterStep({ step: 0, epoch: 0, batch: 0 }, control);
    expect(optimizer.groups[0]).toMatchObject({ betas: [0.9, 0.999] });
  });

  test("waits for a schedule that is at 0, and what was asked with it does not", () => {
    const { changes, changed } = record();
    const optimizer = sgd([parameter(1)], { lr: 0 });
    const live = liveChanges(optimizer, { changed });
    live.request({ lr: 0.5, weightDecay: 0.1 });
    for (const [step, lr] of [0, 0, 0.25].entries()) {
      for (const group of optimizer.groups) group.lr = lr;
      live.callback.beforeStep({ step, epoch: 0, batch: step }, control);
      live.callback.afterStep({ step, epoch: 0, batch: step }, control);
    }
    expect(changes).toEqual([
      { step: 0, weightDecay: 0.1 },
      { step: 2, lr: 0.5, lrScale: 2 },
    ]);
  });

  test("that is recorded is made again, bit for bit, with any number of them", () => {
    const { changes, changed } = record();
    const ask = (step: number, request: (wanted: Wanted) => void): void => {
      if (step % 3 === 1) request({ lr: 0.3 / (step + 2) });
      if (step % 4 === 2) request({ momentum: 0.5 + step / 100, weightDecay: step / 7 });
    };
    const first = walk(twoGroups(), 20, { changed }, ask);
    const recorded = JSON.parse(JSON.stringify(changes)) as Change[];
    expect(walk(twoGroups(), 20, { recorded })).toEqual(first);
  });

  test("between steps the groups hold what they would hold without it, also without a schedule", () => {
    const optimizer = sgd([parameter(1)], { lr: 1, momentum: 0.9, weightDecay: 0.1 });
    const live = liveChanges(optimizer);
    live.request({ lr: 0.5, momentum: 0.8, weightDecay: 0.2 });
    for (let step = 0; step < 3; step++) {
      live.callback.beforeStep({ step, epoch: 0, batch: step }, control);
      expect(optimizer.groups[0]).toMatchObject({ lr: 0.5, momentum: 0.8, weightDecay: 0.2 });
      live.callback.afterStep({ step, epoch: 0, batch: step }, control);
      expect(optimizer.groups[0]).toMatchObject({ lr: 1, momentum: 0.9, weightDecay: 0.1 });
    }
  });

  test("is not made twice around a step that is skipped", () => {
    const optimizer = sgd([parameter(1)], { lr: 1 });
    const live = liveChanges(optimizer);
    live.request({ lr: 0.5 });
    for (let step = 0; step < 3; step++) {
      live.callback.beforeStep({ step, epoch: 0, batch: step }, control);
      expect(optimizer.groups[0]?.lr).toBe(0.5);
    }
  });
});

describe("what the optimizer cannot have is an ArgumentError, and changes nothing", () => {
  test.each<[string, () => Optimizer, Wanted]>([
    ["a negative rate", () => sgd([parameter(1)], { lr: 1 }), { lr: -1 }],
    ["an infinite rate", () => sgd([parameter(1)], { lr: 1 }), { lr: Number.POSITIVE_INFINITY }],
    ["no rate", () => sgd([parameter(1)], { lr: 1 }), { lr: Number.NaN }],
    ["a momentum of 1", () => sgd([parameter(1)], { lr: 1, momentum: 0.9 }), { momentum: 1 }],
    ["momentum where there is none", () => sgd([parameter(1)], { lr: 1 }), { momentum: 0.5 }],
    ["no momentum where there is some", () => sgd([parameter(1)], { lr: 1, momentum: 0.9 }), { momentum: 0 }],
    ["a negative decay", () => sgd([parameter(1)], { lr: 1 }), { weightDecay: -0.1 }],
  ])("%s", (_what, make, wanted) => {
    const optimizer = make();
    const changes: Change[] = [];
    const live = liveChanges(optimizer, { changed: (change) => changes.push(change) });
    expect(() => live.request(wanted)).toThrow(ArgumentError);
    live.callback.beforeStep({ step: 0, epoch: 0, batch: 0 }, control);
    expect(changes).toEqual([]);
    expect(optimizer.groups[0]?.lr).toBe(1);
  });
});
