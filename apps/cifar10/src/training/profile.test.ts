import { createCpuBackend } from "@striate/backend-cpu";
import { tensor } from "@striate/core";
import { batches, syntheticDataset } from "@striate/data";
import { conv2d, flatten, linear, relu, sequential } from "@striate/nn";
import { sgd } from "@striate/optim";
import { fit } from "@striate/train";
import { expect, test } from "vitest";
import type { Event } from "../reporter.js";
import { createProfile } from "./profile.js";
import { type OpTime, timedBackend } from "./timed-backend.js";

test("a timed backend computes as the inner one, and counts operations while it is told to", async () => {
  const timer = timedBackend(await createCpuBackend());
  const { backend } = timer;
  const a = tensor(new Float32Array(6).fill(2), { backend, shape: [2, 3] });
  const b = tensor(new Float32Array(12).fill(3), { backend, shape: [3, 4] });
  a.matmul(b).dispose();
  expect(timer.report()).toEqual([]);
  timer.counting = true;
  const c = a.matmul(b);
  expect([...(await c.data())]).toEqual(new Array(8).fill(18));
  const [matmul] = timer.report() as [OpTime];
  expect(matmul).toMatchObject({ op: "matmul", dispatches: 1, share: 1 });
  expect(matmul.gigaflops * matmul.milliseconds * 1e6).toBeCloseTo(2 * 2 * 3 * 4, 6);
});

test("a convolution and its gradients have the same count of operations", async () => {
  const timer = timedBackend(await createCpuBackend());
  const { backend } = timer;
  timer.counting = true;
  const net = sequential([conv2d(3, 4, 3, { padding: 1 }), relu(), conv2d(4, 5, 3), flatten(), linear(180, 2)], {
    backend,
    seed: 1,
  });
  const x = tensor(new Float32Array(2 * 3 * 64).fill(1), { backend, shape: [2, 3, 8, 8] });
  const optimizer = sgd(net.parameters(), { lr: 0.1 });
  optimizer.step(() => net.forward(x).sum()).dispose();
  const counts = new Map(
    timer.report().map(({ op, gigaflops, milliseconds }) => [op, Math.round(gigaflops * milliseconds * 1e6)]),
  );
  const first = 2 * 2 * 64 * 4 * 27;
  const second = 2 * 2 * 36 * 5 * 36;
  expect(counts.get("conv2d")).toBe(first + second);
  expect(counts.get("conv2dGradWeight")).toBe(first + second);
  // No gradient of the images is wanted.
  expect(counts.get("conv2dGradInput")).toBe(second);
});

test("the shares of a loop add up, and its first steps are left out", async () => {
  const profile = createProfile(await createCpuBackend());
  const { backend } = profile;
  const dataset = syntheticDataset({ count: 40, seed: 1 });
  const net = sequential([flatten(), linear(3072, 10)], { backend, seed: 1 });
  await fit({
    net,
    optimizer: sgd(net.parameters(), { lr: 1e-4 }),
    loss: (logits) => logits.square().mean(),
    epochs: 1,
    batches: () => profile.sequence(batches(dataset, { backend, size: 8 })),
    callbacks: [profile.callback],
  });
  const events: Event[] = [];
  await profile.report({ event: (event) => void events.push(event) });
  const { steps, seconds, ops } = events[0] as unknown as {
    steps: number;
    seconds: Record<"total" | "data" | "kernels" | "dispatch" | "rest", number>;
    ops: OpTime[];
  };
  expect(steps).toBe(3);
  expect(seconds.data + seconds.kernels + seconds.dispatch + seconds.rest).toBeCloseTo(seconds.total, 9);
  for (const part of Object.values(seconds)) expect(part).toBeGreaterThan(0);
  expect(ops.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
  expect(ops.find(({ op }) => op === "matmul")?.dispatches).toBeGreaterThanOrEqual(3);
});
