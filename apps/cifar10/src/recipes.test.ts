import { createCpuBackend } from "@striate/backend-cpu";
import { full, type Tensor, tensor } from "@striate/core";
import { type ImageDataset, syntheticDataset } from "@striate/data";
import type { Callback } from "@striate/train";
import { describe, expect, test } from "vitest";
import { type Prepared, type PresetName, presets } from "./recipes.js";
import { whiteningFilters } from "./whitening.js";

const training: ImageDataset = syntheticDataset({ count: 8, seed: 1 });

const prepare = async (preset: PresetName, steps: number, batchSize = 4): Promise<Prepared> =>
  presets[preset].recipe({ steps, batchSize, training }, { backend: await createCpuBackend(), seed: 1 });

type Hook = "beforeEpoch" | "beforeStep" | "afterStep";

const call = <H extends Hook>(
  { callbacks }: Prepared,
  hook: H,
  ...args: Parameters<NonNullable<Callback[H]>>
): void => {
  for (const callback of callbacks) (callback[hook] as ((...given: unknown[]) => void) | undefined)?.(...args);
};

const ratesAt = (prepared: Prepared, step: number): number[] => {
  call(prepared, "beforeStep", { epoch: 0, step });
  return prepared.optimizer.groups.map(({ lr }) => lr);
};

const set = (handle: Tensor | undefined, value: number): void => {
  if (!handle) throw new Error("there is no such tensor");
  handle.assign(full(handle.shape, value, { backend: handle.backend }));
};

const first = async (handle: Tensor | undefined): Promise<number> => Number((await handle?.data())?.[0]);

describe.each(["ann", "lenet5"] as const)("%s", (preset) => {
  test("the rate goes up for a fifth of the steps and then down to almost nothing", async () => {
    const prepared = await prepare(preset, 50);
    const rates = Array.from({ length: 50 }, (_, step) => ratesAt(prepared, step)[0] as number);
    const peak = Math.max(...rates);
    expect(rates.indexOf(peak)).toBe(9);
    expect(rates[0]).toBeCloseTo(peak / 25, 8);
    expect(rates[49]).toBeLessThan(peak / 1e5);
  });

  test("a single step has a rate", async () => {
    const [rate] = ratesAt(await prepare(preset, 1), 0);
    expect(rate).toBeGreaterThan(0);
  });
});

// arXiv 2404.00498 and its code: the numbers stand here as they stand there.
describe("the speed nets", () => {
  const kilostep = 1024 * (1 + 1 / (1 - 0.85));

  test("rates, decay and momentum by group: biases of norms, and the rest", async () => {
    const { net, optimizer } = await prepare("fast70", 100, 512);
    expect(optimizer.groups).toMatchObject([
      { lr: expect.closeTo((64 * 11.5) / kilostep, 10), momentum: 0.85, nesterov: true, dampening: 0 },
      { lr: expect.closeTo(11.5 / kilostep, 10), momentum: 0.85, nesterov: true, dampening: 0 },
    ]);
    // Decay a step is lr · weightDecay, whatever the group.
    for (const group of optimizer.groups)
      expect(group.lr * (group as unknown as { weightDecay: number }).weightDecay).toBeCloseTo(
        (0.0153 * 512) / kilostep,
        10,
      );
    const nameOf = new Map([...net.namedParameters()].map(([name, parameter]) => [parameter, name]));
    const [norms, rest] = optimizer.groups.map(({ params }) => params.map((parameter) => nameOf.get(parameter)));
    expect(norms).toEqual([1, 2, 3].flatMap((i) => [`group${i}.norm1.bias`, `group${i}.norm2.bias`]));
    expect(rest).toEqual([
      "whiten.weight",
      "whiten.bias",
      ...[1, 2, 3].flatMap((i) => [`group${i}.conv1.weight`, `group${i}.conv2.weight`]),
      "head.weight",
    ]);
  });

  test("the schedule goes from 0.2 to 1 at 23 % of the steps and to 0.07 at their end", async () => {
    const prepared = await prepare("fast70", 100);
    const [, base] = prepared.optimizer.groups.map(({ lr }) => lr);
    for (const [step, factor] of [
      [0, 0.2],
      [11, 0.2 + (0.8 * 11) / 23],
      [23, 1],
      [61, 1 - (0.93 * 38) / 77],
      [99, 1 - (0.93 * 76) / 77],
    ] as const) {
      const [norms, rest] = ratesAt(prepared, step);
      expect(rest).toBeCloseTo(factor * (base as number), 10);
      expect(norms).toBeCloseTo(64 * factor * (base as number), 10);
    }
  });

  test("whitening filters are those of the training images, and frozen; their bias after three epochs", async () => {
    const prepared = await prepare("fast70", 100);
    const parameters = prepared.net.namedParameters();
    expect(await parameters.get("whiten.weight")?.data()).toEqual(whiteningFilters(training));
    const frozen = (): string[] => [...parameters].flatMap(([name, { requiresGrad }]) => (requiresGrad ? [] : [name]));
    for (const epoch of [0, 1, 2]) {
      call(prepared, "beforeEpoch", epoch);
      expect(frozen()).toEqual(["whiten.weight"]);
    }
    call(prepared, "beforeEpoch", 3);
    expect(frozen()).toEqual(["whiten.weight", "whiten.bias"]);
    call(prepared, "beforeEpoch", 4);
    expect(frozen()).toEqual(["whiten.weight", "whiten.bias"]);
  });

  test("the loss is a sum over the batch, labels smoothed by 0.2", async () => {
    const { loss, reduction } = await prepare("fast70", 100);
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
    expect(reduction).toBe("sum");
    const value = loss(tensor(rows, { backend }), tensor(labels, { backend, dtype: "int32" }));
    expect(await value.item()).toBeCloseTo(expected, 5);
  });

  test("every five steps weights and statistics fall back on their average, which is what stays in the end", async () => {
    const steps = 10;
    const prepared = await prepare("fast70", steps);
    const state = prepared.net.stateDict();
    const watched = ["head.weight", "group1.norm1.running_mean"].map((name) => state.get(name));
    let slow = await Promise.all(watched.map(first));
    for (let step = 1; step <= steps; step++) {
      for (const handle of watched) set(handle, step);
      call(prepared, "afterStep", { epoch: 0, step: step - 1 });
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
    for (const handle of watched) set(handle, 99);
    prepared.finish();
    (await Promise.all(watched.map(first))).forEach((value, i) => {
      expect(value).toBeCloseTo(slow[i] as number, 5);
    });
  });

  test("images are cropped within two pixels, and flipped in every other epoch", async () => {
    const { augment } = await prepare("fast70", 100);
    expect(augment).toEqual({ flip: "alternating", crop: { padding: 2, mode: "reflect" } });
  });
});
