import { createCpuBackend } from "@striate/backend-cpu";
import { memoryUsage, type Tensor, tensor } from "@striate/core";
import { describe, expect, test } from "vitest";
import { withViews } from "./views.js";

const [height, width] = [4, 5];
const images = Array.from({ length: 2 }, (_, n) =>
  Array.from({ length: 3 }, (_, c) =>
    Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => Math.sin(60 * n + 20 * c + 5 * y + x)),
    ),
  ),
);

/** The pixel, mirrored at the edges without repeating them. */
const reflect = (at: number, size: number): number => {
  const from0 = Math.abs(at);
  return from0 < size ? from0 : 2 * (size - 1) - from0;
};

type Images = typeof images;

/** Every image moved by `by` pixels down and right. */
const shifted = (all: Images, by: number): Images =>
  all.map((image) =>
    image.map((plane) =>
      plane.map((row, y) => row.map((_, x) => plane[reflect(y + by, height)]?.[reflect(x + by, width)] as number)),
    ),
  );

const flipped = (all: Images): Images => all.map((image) => image.map((plane) => plane.map((row) => row.toReversed())));

describe("withViews", () => {
  test("six views are averaged: half the weight for the image in its place, half for the two shifts", async () => {
    const backend = await createCpuBackend();
    const shape = [2, 3 * height * width];
    const x = tensor(images, { backend });
    const weight = tensor(
      Float32Array.from({ length: 2 * (shape[1] as number) }, (_, i) => Math.cos(i)),
      {
        backend,
        shape: [2, shape[1] as number],
      },
    );
    // Not linear, so that averaging the images instead of the logits would show.
    const forward = (batch: Tensor): Tensor => batch.flatten(1).linear(weight).tanh();
    const seen: unknown[] = [];
    const watched = (batch: Tensor): Tensor => {
      seen.push(batch.detach());
      return forward(batch);
    };
    const logits = withViews(watched, 6)(x);

    const views: [Images, number][] = [
      [images, 1 / 4],
      [flipped(images), 1 / 4],
      ...[-1, 1].flatMap((by): [Images, number][] => [
        [shifted(images, by), 1 / 8],
        [flipped(shifted(images, by)), 1 / 8],
      ]),
    ];
    const expected = [0, 0, 0, 0];
    for (const [view, share] of views)
      (await forward(tensor(view, { backend })).data()).forEach((v, i) => {
        (expected[i] as number) += share * Number(v);
      });
    expect(seen).toHaveLength(6);
    const actual = Array.from(await logits.data(), Number);
    actual.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i] as number, 5);
    });
  });

  test("leaves nothing but its result", async () => {
    const backend = await createCpuBackend();
    const x = tensor(images, { backend });
    const { tensors, storages } = memoryUsage(backend);
    withViews((batch) => batch.mean([1, 2, 3]), 6)(x).dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors, storages });
  });

  test("one view is the forward pass itself", () => {
    const forward = (x: Tensor): Tensor => x;
    expect(withViews(forward, 1)).toBe(forward);
  });
});
