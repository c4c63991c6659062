import { createCpuBackend } from "@striate/backend-cpu";
import type { Backend } from "@striate/core";
import { ArgumentError, memoryUsage, OutOfMemoryError, scope } from "@striate/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AugmentOptions } from "./augment.js";
import { augment } from "./augment.js";
import type { BatchOptions } from "./batches.js";
import { batches } from "./batches.js";
import { subset } from "./dataset.js";
import { colourComponents } from "./lighting.js";
import { normalize } from "./normalize.js";
import { syntheticDataset } from "./synthetic.js";
import { withRemapLookUp } from "./testing/with-remap-look-up.js";

const dataset = syntheticDataset({ count: 23, seed: 1, channels: 2, height: 4, width: 5, classes: 7 });

let backend: Backend;
beforeAll(async () => {
  backend = await createCpuBackend();
});
afterAll(() => backend.dispose());

interface Seen {
  readonly images: number[];
  readonly labels: number[];
  readonly indices: number[];
  readonly index: number;
}

const collect = (options: Omit<BatchOptions, "backend">): Seen[] =>
  Array.from(batches(dataset, { backend, ...options }), ({ images, labels, indices, index }) => ({
    images: Array.from(images.dataSync()),
    labels: Array.from(labels.dataSync()),
    indices: [...indices],
    index,
  }));

describe("batches", () => {
  test("without a seed: the dataset in order, the rest last", () => {
    const seen = collect({ size: 10 });
    expect(seen.map(({ indices }) => indices.length)).toEqual([10, 10, 3]);
    expect(seen.flatMap(({ indices }) => indices)).toEqual(Array.from({ length: 23 }, (_, i) => i));
    expect(seen.flatMap(({ labels }) => labels)).toEqual([...dataset.labels]);
    expect(seen.flatMap(({ images }) => images)).toEqual([...normalize(dataset, dataset)]);
  });

  test("shapes and dtypes", () => {
    const [batch] = batches(dataset, { backend, size: 6 });
    const whole = batches(dataset, { backend, size: 6 });
    expect(whole.total).toBe(4);
    for (const { images, labels, total } of whole) {
      expect(images.dtype).toBe("float32");
      expect(labels.dtype).toBe("int32");
      expect(images.shape.slice(1)).toEqual([2, 4, 5]);
      expect(labels.shape).toEqual([images.shape[0]]);
      expect(total).toBe(4);
    }
    expect(batch?.images.isDisposed).toBe(true);
  });

  test("dropLast leaves the smaller batch out", () => {
    expect(collect({ size: 10, dropLast: true }).length).toBe(2);
    expect(collect({ size: 24, dropLast: true }).length).toBe(0);
    expect(collect({ size: 23, dropLast: true }).length).toBe(1);
  });

  test("an epoch is a permutation by (seed, epoch)", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 100 }), fc.integer({ min: 1, max: 30 }), (seed, epoch, size) => {
        const order = collect({ size, seed, epoch }).flatMap(({ indices }) => indices);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 23 }, (_, i) => i));
        expect(collect({ size, seed, epoch }).flatMap(({ indices }) => indices)).toEqual(order);
        // 23! orders: two of them are the same only if the epoch does not count.
        expect(collect({ size, seed, epoch: epoch + 1 }).flatMap(({ indices }) => indices)).not.toEqual(order);
      }),
      { numRuns: 20 },
    );
  });

  test("the order does not depend on the batch size", () => {
    const orders = [1, 4, 23].map((size) => collect({ size, seed: 3 }).flatMap(({ indices }) => indices));
    expect(orders[1]).toEqual(orders[0]);
    expect(orders[2]).toEqual(orders[0]);
  });

  test("start resumes exactly", () => {
    const options = { size: 4, seed: 8, epoch: 2, augment: { flip: "random", crop: { padding: 1 } } } as const;
    const whole = collect(options);
    for (let start = 0; start <= whole.length; start++)
      expect(collect({ ...options, start })).toEqual(whole.slice(start));
  });

  test("can be iterated again", () => {
    const sequence = batches(dataset, { backend, size: 5, seed: 1 });
    const orders = [1, 2].map(() => Array.from(sequence, ({ indices }) => [...indices]));
    expect(orders[1]).toEqual(orders[0]);
  });

  test("augments as augment does, without shuffling if so asked", () => {
    const options = { flip: "alternating" } as const;
    const [first] = collect({ size: 5, seed: 4, epoch: 1, shuffle: false, augment: options });
    expect(first?.indices).toEqual([0, 1, 2, 3, 4]);
    const raw = { ...subset(dataset, [0, 1, 2, 3, 4]), indices: [0, 1, 2, 3, 4] };
    const images = augment(raw, options, { seed: 4, epoch: 1 });
    expect(images).not.toEqual(raw.images);
    expect(first?.images).toEqual([...normalize({ ...raw, images }, dataset)]);
  });

  test("normalizes as told", () => {
    const [first] = collect({ size: 23, normalize: { mean: [0, 0], std: [1, 1] } });
    expect(first?.images).toEqual([...Float32Array.from(dataset.images, (value) => value / 255)]);
  });

  test("bytes that become floats on the backend give the bits of floats from the host, for all options", () => {
    const remapping = withRemapLookUp(backend);
    const optional = <T>(...values: T[]) => fc.constantFrom<T | undefined>(undefined, ...values);
    const sets = [1, 3].map((channels) => syntheticDataset({ count: 13, seed: 2, channels, height: 7, width: 6 }));
    const cases = fc.constantFrom(...sets).chain((data) =>
      fc.record({
        data: fc.constant(data),
        size: fc.integer({ min: 1, max: 14 }),
        seed: fc.nat(),
        epoch: fc.nat(9),
        augment: optional(true).chain((on) =>
          on === undefined
            ? fc.constant(undefined)
            : (fc.record({
                flip: optional("none", "random", "alternating"),
                crop: optional<AugmentOptions["crop"]>(
                  ...[0, 1, 2, 3, 4, 5].map((padding) => ({ padding })),
                  ...[0, 1, 2, 3, 4, 9].map((padding) => ({ padding, mode: "zero" as const })),
                ),
                brightness: optional(0.3),
                contrast: optional(0.3),
                lighting: optional({ components: colourComponents(data) }),
                cutout: optional({ size: 3 }),
                erasing: optional({ prob: 0.8 }),
              }) as fc.Arbitrary<AugmentOptions>),
        ),
        mix: optional({ mixupAlpha: 1 }, { cutmixAlpha: 1, prob: 0.5 }),
        normalize: optional({ mean: data.mean.map(() => 0.3), std: data.mean.map(() => 0.7) }),
      }),
    );
    fc.assert(
      fc.property(cases, ({ data, seed, ...given }) => {
        const { augment: augmentation, mix, size } = given;
        const began = remapping.calls();
        const evaluates = augmentation === undefined && mix === undefined;
        const paints = mix ?? augmentation?.cutout ?? augmentation?.erasing;
        const seen = (on: Backend) =>
          Array.from(
            batches(data, { ...given, backend: on, ...(!evaluates && { seed }) }),
            ({ images, labels, targets }) => [images.shape, ...[images, labels, targets].map((t) => t?.dataSync())],
          );
        expect(seen(remapping.backend)).toEqual(seen(backend));
        expect(remapping.calls() - began).toBe(paints ? 0 : Math.ceil(13 / size));
      }),
      { numRuns: 300 },
    );
  });

  test("works in for await", async () => {
    let seen = 0;
    for await (const { labels } of batches(dataset, { backend, size: 8, seed: 1 }))
      seen += (await labels.data()).length;
    expect(seen).toBe(23);
  });

  test("leaves no tensor behind: at the end, after break, after throw, after dispose, in a scope", () => {
    const before = memoryUsage(backend);
    const sequence = batches(dataset, { backend, size: 4, seed: 1 });
    for (const _ of sequence) expect(memoryUsage(backend).tensors).toBe(before.tensors + 2);
    for (const _ of sequence) break;
    expect(() => {
      for (const _ of sequence) throw new Error("mine");
    }).toThrow("mine");
    for (const { images } of sequence) images.dispose();
    scope(() => {
      for (const _ of sequence) break;
    });
    const after = memoryUsage(backend);
    expect([after.tensors, after.bytes]).toEqual([before.tensors, before.bytes]);
  });

  test("leaves no tensor behind when the backend runs out of memory", () => {
    let allowed = 1;
    const full: Backend = {
      ...backend,
      alloc: (spec) => {
        if (allowed-- === 0) throw new OutOfMemoryError("full", 1);
        return backend.alloc(spec);
      },
    };
    expect(() => [...batches(dataset, { backend: full, size: 4 })]).toThrow(OutOfMemoryError);
    expect(memoryUsage(full)).toMatchObject({ tensors: 0, bytes: 0 });
  });

  test("through bytes likewise", () => {
    const remapping = withRemapLookUp(backend);
    for (const { images, labels } of batches(dataset, { backend: remapping.backend, size: 4, seed: 1 })) {
      const { tensors, bytes } = memoryUsage(remapping.backend);
      expect({ tensors, bytes }).toEqual({ tensors: 2, bytes: 4 * (images.size + labels.size) });
    }
    expect(remapping.calls()).toBe(6);
    // Of bytes, rows, columns, table, floats and labels.
    for (const room of [0, 1, 2, 3, 4, 5]) {
      let allowed = room;
      const full: Backend = {
        ...remapping.backend,
        alloc: (spec) => {
          if (allowed-- === 0) throw new OutOfMemoryError("full", 1);
          return backend.alloc(spec);
        },
      };
      expect(() => [...batches(dataset, { backend: full, size: 4 })]).toThrow(OutOfMemoryError);
      expect(memoryUsage(full)).toMatchObject({ tensors: 0, bytes: 0 });
    }
    expect(memoryUsage(remapping.backend)).toMatchObject({ tensors: 0, bytes: 0 });
  });

  test("no images: no batches", () => {
    expect(batches(subset(dataset, []), { backend, size: 4, seed: 1 }).total).toBe(0);
    expect([...batches(subset(dataset, []), { backend, size: 4, seed: 1 })]).toEqual([]);
  });

  test.each<[string, Partial<BatchOptions>]>([
    ["size", { size: 0 }],
    ["size", { size: 2.5 }],
    ["seed", { seed: -1 }],
    ["epoch", { epoch: -1 }],
    ["start", { start: 7 }],
    ["start", { start: -1 }],
    ["shuffle", { shuffle: true }],
    ["augment", { augment: {} }],
    ["crop.padding", { seed: 1, augment: { crop: { padding: 4 } } }],
    ["mean", { normalize: { mean: [0], std: [1, 1] } }],
    ["std", { normalize: { mean: [0, 0], std: [1, -1] } }],
  ])("refuses a wrong %s at once", (argument, wrong) => {
    const act = () => batches(dataset, { backend, size: 4, ...wrong });
    expect(act).toThrow(ArgumentError);
    expect(act).toThrow(argument);
  });
});
