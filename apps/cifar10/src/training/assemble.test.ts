import { createCpuBackend } from "@striate/backend-cpu";
import { full, type Tensor, tensor } from "@striate/core";
import { type ImageDataset, syntheticDataset } from "@striate/data";
import type { Control } from "@striate/train";
import { describe, expect, test } from "vitest";
import { ConfigError, resolveConfig, settingFromAssignment } from "../config/resolve.js";
import { whiteningFilters } from "../whitening.js";
import { type Assembled, assemble } from "./assemble.js";

const training: ImageDataset = syntheticDataset({ count: 8, seed: 1 });
const control: Control = { stop: () => {}, validated: async () => {}, ending: undefined, seconds: 0 };

const make = async (preset: string, { steps = 100, set = [] as string[] } = {}): Promise<Assembled> => {
  const config = resolveConfig({ preset, flags: set.map(settingFromAssignment) });
  return assemble(config, { steps, training }, { backend: await createCpuBackend(), seed: 1 });
};

type Hook = "beforeEpoch" | "beforeStep" | "afterStep" | "onValidation";

const call = ({ callbacks }: Assembled, hook: Hook, given: unknown): void => {
  for (const callback of callbacks) (callback[hook] as ((...args: unknown[]) => void) | undefined)?.(given, control);
};

const ratesAt = (assembled: Assembled, step: number): number[] => {
  call(assembled, "beforeStep", { epoch: 0, step, batch: step });
  return assembled.optimizer.groups.map(({ lr }) => lr);
};

const setAll = (handle: Tensor | undefined, value: number): void => {
  if (!handle) throw new Error("there is no such tensor");
  handle.assign(full(handle.shape, value, { backend: handle.backend }));
};

const first = async (handle: Tensor | undefined): Promise<number> => Number((await handle?.data())?.[0]);

const namesOf = ({ net, optimizer }: Assembled): (string | undefined)[][] => {
  const nameOf = new Map([...net.namedParameters()].map(([name, parameter]) => [parameter, name]));
  return optimizer.groups.map(({ params }) => params.map((parameter) => nameOf.get(parameter)));
};

// arXiv 2404.00498 and its code: the numbers stand here as they stand there.
describe("the speed nets", () => {
  const kilostep = 1024 * (1 + 1 / (1 - 0.85));

  test("rates, decay and momentum by group: biases of norms, and the rest", async () => {
    const assembled = await make("fast70");
    const { groups } = assembled.optimizer;
    expect(groups).toMatchObject([
      { lr: expect.closeTo((64 * 11.5) / kilostep, 10), momentum: 0.85, nesterov: true, dampening: 0 },
      { lr: expect.closeTo(11.5 / kilostep, 10), momentum: 0.85, nesterov: true, dampening: 0 },
    ]);
    // Decay a step is lr · weightDecay, whatever the group.
    for (const group of groups)
      expect(group.lr * (group as unknown as { weightDecay: number }).weightDecay).toBeCloseTo(
        (0.0153 * 512) / kilostep,
        10,
      );
    const [norms, rest] = namesOf(assembled);
    expect(norms).toEqual([1, 2, 3].flatMap((i) => [`group${i}.norm1.bias`, `group${i}.norm2.bias`]));
    expect(rest).toEqual([
      "whiten.weight",
      "whiten.bias",
      ...[1, 2, 3].flatMap((i) => [`group${i}.conv1.weight`, `group${i}.conv2.weight`]),
      "head.weight",
    ]);
    expect(ratesAt(assembled, 0)[1]).toBeCloseTo((0.2 * 11.5) / kilostep, 10);
    expect(ratesAt(assembled, 23)[0]).toBeCloseTo((64 * 11.5) / kilostep, 10);
  });

  test("whitening filters are those of the training images, and frozen; their bias after three epochs", async () => {
    const assembled = await make("fast70");
    const parameters = assembled.net.namedParameters();
    expect(await parameters.get("whiten.weight")?.data()).toEqual(whiteningFilters(training));
    const frozen = (): string[] => [...parameters].flatMap(([name, { requiresGrad }]) => (requiresGrad ? [] : [name]));
    for (const epoch of [0, 1, 2]) {
      call(assembled, "beforeEpoch", epoch);
      expect(frozen()).toEqual(["whiten.weight"]);
    }
    // Also where a run goes on in a later epoch.
    call(assembled, "beforeEpoch", 5);
    expect(frozen()).toEqual(["whiten.weight", "whiten.bias"]);
  });

  test("the loss is a sum over the batch, labels smoothed by 0.2", async () => {
    const { loss } = await make("fast70");
    const backend = await createCpuBackend();
    const rows = [
      [2, 0, 1],
      [0, -1, 1],
    ];
    const labels = [0, 1];
    const expected = rows.reduce((sum, row, i) => {
      const total = Math.log(row.reduce((s, v) => s + Math.exp(v), 0));
      const target = row.map((_, c) => 0.2 / 3 + (c === labels[i] ? 0.8 : 0));
      return sum + row.reduce((s, v, c) => s + (target[c] as number) * (total - v), 0);
    }, 0);
    const value = loss(tensor(rows, { backend }), tensor(labels, { backend, dtype: "int32" }));
    expect(await value.item()).toBeCloseTo(expected, 5);
  });

  test("every five steps weights and statistics fall back on their average, which is what stays in the end", async () => {
    const steps = 10;
    const assembled = await make("fast70", { steps });
    const state = assembled.net.stateDict();
    const watched = ["head.weight", "group1.norm1.running_mean"].map((name) => state.get(name));
    let slow = await Promise.all(watched.map(first));
    for (let step = 1; step <= steps; step++) {
      for (const handle of watched) setAll(handle, step);
      call(assembled, "afterStep", { epoch: 0, step: step - 1, batch: 0 });
      const fast = await Promise.all(watched.map(first));
      if (step % 5 !== 0) expect(fast).toEqual([step, step]);
      else {
        const rate = 0.95 ** 5 * (step / steps) ** 3;
        slow = slow.map((value) => rate * value + (1 - rate) * step);
        fast.forEach((value, i) => {
          expect(value).toBeCloseTo(slow[i] as number, 5);
        });
      }
    }
    for (const handle of watched) setAll(handle, 99);
    assembled.finish();
    const last = await Promise.all(watched.map(first));
    last.forEach((value, i) => {
      expect(value).toBeCloseTo(slow[i] as number, 5);
    });
  });
});

describe("optimizers", () => {
  const groups = 'optimizer.groups=[{"match":"\\\\.bias$","weightDecay":0,"lrFactor":2}]';

  test("groups have what they say, and the rest what is said for all", async () => {
    const assembled = await make("ann", { set: [groups] });
    expect(assembled.optimizer.groups).toMatchObject([
      { lr: 0.1, weightDecay: 0, momentum: 0.9 },
      { lr: 0.05, weightDecay: 5e-4, momentum: 0.9 },
    ]);
    expect(namesOf(assembled)).toEqual([
      ["1.bias", "3.bias"],
      ["1.weight", "3.weight"],
    ]);
  });

  test("a group that nothing is in is an error that leaves nothing", async () => {
    await expect(make("ann", { set: ['optimizer.groups=[{"match":"nothing"}]'] })).rejects.toThrow(ConfigError);
    await expect(make("ann", { set: ['optimizer.groups=[{"match":"."},{"match":"bias"}]'] })).rejects.toThrow(
      /optimizer\.groups\.1\.match: no parameter matches/,
    );
  });

  test.each(["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"])(
    "%s is made with its defaults",
    async (name) => {
      const { optimizer, dispose } = await make("ann", { set: [`optimizer.name=${name}`] });
      expect(optimizer.name).toBe(name);
      dispose();
    },
  );

  test("muon has the filters, and another the rest", async () => {
    const set = ['optimizer={"name":"muon","lr":0.2,"rest":{"name":"sgd","lr":0.1,"momentum":0.5}}'];
    const assembled = await make("lenet5", { set });
    expect(namesOf(assembled)[0]).toEqual(["0.weight", "3.weight"]);
    expect(assembled.optimizer.groups).toMatchObject([
      { lr: 0.2, momentum: 0.95 },
      { lr: 0.1, momentum: 0.5 },
    ]);
    await expect(make("ann", { set })).rejects.toThrow(/muon has no filters/);
  });
});

test("the plateau schedule lowers all rates when validations no longer improve, and its state can be kept", async () => {
  const set = ["schedule.name=plateau", "schedule.patience=0", "schedule.factor=0.5", "data.validation=2"];
  const assembled = await make("ann", { set });
  const validate = (loss: number): void =>
    call(assembled, "onValidation", { epoch: 0, step: 1, loss, accuracy: 0, images: 2 });
  expect(ratesAt(assembled, 0)).toEqual([0.05]);
  validate(1);
  validate(1);
  expect(ratesAt(assembled, 1)).toEqual([0.025]);
  const other = await make("ann", { set });
  other.extras["schedule"]?.loadStateDict(assembled.extras["schedule"]?.stateDict() as never);
  expect(ratesAt(other, 1)).toEqual([0.025]);
});

test("averages are what a run is judged by, and what it comes to", async () => {
  const assembled = await make("ann", { set: ["ema.decay=0.5"] });
  const weight = assembled.net.stateDict().get("3.bias");
  const start = await first(weight);
  setAll(weight, 8);
  call(assembled, "afterStep", { epoch: 0, step: 0, batch: 0 });
  const average = (start + 8) / 2;
  expect(await first(weight)).toBe(8);
  expect(await assembled.judged(() => first(weight))).toBeCloseTo(average, 5);
  expect(await first(weight)).toBe(8);
  assembled.adopt();
  expect(await first(weight)).toBeCloseTo(average, 5);
});

test("what a checkpoint has to hold is named", async () => {
  const assembled = await make("fast70", { set: ["ema.decay=0.9"] });
  expect(Object.keys(assembled.extras)).toEqual(["lookahead", "ema"]);
});
