import {
  BackendLostError,
  crossEntropy,
  full,
  memoryUsage,
  OutOfMemoryError,
  pointwise,
  type Tensor,
  tensor,
} from "@striate/core";
import { DisposedError, IndexError, KernelError, UnsupportedError } from "@striate/core/backend";
import { batches, syntheticDataset } from "@striate/data";
import { build, flatten, linear, sequential } from "@striate/nn";
import { sgd } from "@striate/optim";
import { fit } from "@striate/train";
import { describe, expect, test } from "vitest";
import { createWebGpuBackend, type WebGpuBackend } from "./index.js";
import { withAdapter, withBackend } from "./testing/adapter.js";
import { createResnet20 } from "./testing/resnet20.js";
import { createFit, createTraining } from "./testing/training.js";

const counts = ({ buffersCreated, bindGroupsCreated, pipelinesCreated }: ReturnType<WebGpuBackend["statistics"]>) => ({
  buffersCreated,
  bindGroupsCreated,
  pipelinesCreated,
});

/** Milliseconds for what compiles many pipelines: a software adapter takes up to a second for each, on a busy machine many. */
const SLOW = 600_000;

describe("createWebGpuBackend", () => {
  test("says so where there is no adapter", async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await expect(createWebGpuBackend({ gpu })).rejects.toThrow(UnsupportedError);
    await expect(createWebGpuBackend({ gpu })).rejects.toThrow("offers no adapter");
  });

  test("says so where the adapter gives no device", async () => {
    const adapter = {
      features: new Set(),
      limits: {},
      requestDevice: async () => {
        throw new Error("all in use");
      },
    };
    const gpu = { requestAdapter: async () => adapter } as unknown as GPU;
    await expect(createWebGpuBackend({ gpu })).rejects.toThrow("the adapter gives no device: all in use");
  });

  test("asks for the features and limits that the adapter has, and for nothing more", async () => {
    const requests: GPUDeviceDescriptor[] = [];
    const limits = { maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: 2 ** 30 };
    const adapter = {
      features: new Set(["subgroups", "timestamp-query", "texture-compression-bc"]),
      limits,
      requestDevice: async (request: GPUDeviceDescriptor) => {
        requests.push(request);
        throw new Error("seen");
      },
    };
    const gpu = { requestAdapter: async () => adapter } as unknown as GPU;
    for (const raiseLimits of [true, false])
      await expect(createWebGpuBackend({ gpu, raiseLimits })).rejects.toThrow("seen");
    const [raised, usual] = requests;
    expect(raised).toMatchObject({ requiredFeatures: ["subgroups", "timestamp-query"], requiredLimits: limits });
    expect(usual).toMatchObject({ requiredFeatures: ["subgroups", "timestamp-query"] });
    expect(usual?.requiredLimits).toEqual({});
  });

  test("refuses what is no GPU", async () => {
    await expect(createWebGpuBackend({ gpu: {} as GPU })).rejects.toThrow("expected navigator.gpu");
  });
});

withAdapter("a device", () => {
  test(
    "computes",
    withBackend(async (backend) => {
      const x = tensor([1, 2, 3], { backend });
      expect(await x.mul(2).add(1).toArray()).toEqual([3, 5, 7]);
    }),
  );

  test(
    "sync waits until the device has done all",
    withBackend(async (backend) => {
      const a = full([512, 512], 1, { backend });
      // Once its pipeline is there, every call is encoded at once.
      await a.matmul(a).data();
      for (let i = 0; i < 4; i++) a.matmul(a);
      backend.flush();
      let done = false;
      backend.device.queue.onSubmittedWorkDone().then(() => {
        done = true;
      });
      await backend.sync();
      expect(done).toBe(true);
    }),
    SLOW,
  );

  test(
    "a loop makes no buffer, bind group or pipeline after its third step",
    withBackend(async (backend) => {
      const training = createTraining(backend);
      const losses: number[] = [];
      let steady = counts(backend.statistics());
      for (let round = 0; round < 8; round++) {
        const loss = training.step(round);
        losses.push(await loss.item());
        loss.dispose();
        if (round === 2) steady = counts(backend.statistics());
      }
      expect(counts(backend.statistics())).toEqual(steady);
      expect(losses.every(Number.isFinite)).toBe(true);
    }),
    SLOW,
  );

  test(
    "the same at default limits, when each loss is read while the next step runs",
    withBackend(
      async (backend) => {
        const training = createTraining(backend);
        let steady = counts(backend.statistics());
        let pending: Promise<number> | undefined;
        for (let round = 0; round < 9; round++) {
          const loss = training.step(round);
          const before = pending;
          pending = loss.item().finally(() => loss.dispose());
          await before;
          if (round === 3) steady = counts(backend.statistics());
        }
        await pending;
        expect(counts(backend.statistics())).toEqual(steady);
      },
      { raiseLimits: false },
    ),
    SLOW,
  );

  test(
    "fit encodes a step while the device is at the one before, and runs no further ahead",
    withBackend(async (backend) => {
      const dataset = syntheticDataset({ count: 32, seed: 1, classes: 3, channels: 1, height: 4, width: 4 });
      const net = build(sequential([flatten(), linear(16, 3)]), { backend, seed: 1 });
      let [made, heard] = [0, 0];
      const inFlight: number[] = [];
      await fit({
        net,
        optimizer: sgd(net.parameters(), { lr: 0.1 }),
        loss: crossEntropy,
        epochs: 1,
        batches: (epoch, start) => batches(dataset, { backend, size: 2, seed: 1, epoch, start }),
        callbacks: [
          {
            afterStep: () => {
              made++;
              inFlight.push(made - heard);
            },
            onStep: () => {
              heard++;
            },
          },
        ],
      });
      expect(inFlight).toEqual([1, ...Array.from({ length: 15 }, () => 2)]);
      expect(heard).toBe(16);
    }),
    SLOW,
  );

  // Dawn's null device takes commands and checks them, at any size, and computes nothing.
  test.each([32, 128])(
    "a training step of ResNet-20 at batch %i is 250 dispatches at most, at default limits",
    async (batch) => {
      await withBackend(
        async (backend) => {
          expect(backend.device.limits.maxStorageBuffersPerShaderStage).toBe(8);
          const { step } = createResnet20(backend, batch);
          const counted = (): Map<string, number> =>
            new Map(backend.profile()?.map(({ op, dispatches }) => [op, dispatches]));
          let before = counted();
          let steady = counts(backend.statistics());
          let submits = 0;
          const ROUNDS = 5;
          for (let round = 0; round < ROUNDS; round++) {
            if (round === ROUNDS - 1) {
              before = counted();
              ({ submits } = backend.statistics());
            }
            const loss = step();
            await loss.data();
            loss.dispose();
            if (round === 2) steady = counts(backend.statistics());
          }
          expect(backend.statistics().submits - submits, "submits").toBeLessThanOrEqual(3);
          const byOp = [...counted()].map(([op, n]) => [op, n - (before.get(op) ?? 0)] as const);
          const total = byOp.reduce((sum, [, n]) => sum + n, 0);
          const list = byOp.sort(([, a], [, b]) => b - a).map(([op, n]) => `${op} ${n}`);
          expect(total, list.join(", ")).toBeLessThanOrEqual(250);
          expect(total).toBeGreaterThan(100);
          expect(counts(backend.statistics())).toEqual(steady);
        },
        { dawnOptions: ["backend=null"], raiseLimits: false, profile: true },
      )();
    },
    SLOW,
  );

  test(
    "small updates that run together give the bits of the same ones alone",
    withBackend(async (backend) => {
      const sizes = [1, 3, 64, 257, 1000, 4096, 7000];
      const noise = (size: number, seed: number): Tensor =>
        tensor(
          Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898 + seed)),
          { backend },
        );
      const update = (p: Tensor, g: Tensor): readonly Tensor[] =>
        pointwise([p, g], (a, b) => {
          const step = b.mul(0.1).add(a.mul(0.01));
          return [a.sub(step), step.square()];
        });
      const train = async (alone: boolean): Promise<number[][]> => {
        let params = sizes.map((size) => noise(size, 1));
        for (let round = 0; round < 4; round++) {
          const grads = params.map((p) => p.reshape([1, -1]).sum([0]));
          const next: Tensor[] = [];
          for (const [i, p] of params.entries()) {
            next.push(update(p, grads[i] as Tensor)[0] as Tensor);
            if (alone) await backend.sync();
          }
          params = next;
        }
        return Promise.all(params.map((p) => p.toArray() as Promise<number[]>));
      };
      const alone = await train(true);
      const { dispatches } = backend.statistics();
      expect(await train(false)).toEqual(alone);
      // Four sums of each; an update of each in the first round, whose parameters came from the host, then one for all.
      expect(backend.statistics().dispatches - dispatches).toBe(sizes.length * 5 + 3);
    }),
    SLOW,
  );

  test(
    "a tensor larger than a binding is refused at once, and nothing is spoilt",
    withBackend(
      async (backend) => {
        const before = memoryUsage(backend);
        // 128 MiB is the default limit of a binding.
        expect(() => full([2 ** 25 + 1], 0, { backend })).toThrow(OutOfMemoryError);
        expect(memoryUsage(backend).bytes).toBe(before.bytes);
        expect(await full([3], 1, { backend }).toArray()).toEqual([1, 1, 1]);
      },
      { raiseLimits: false },
    ),
  );

  test(
    "bytes take four bytes each on the device: a tensor of too many is refused as well",
    withBackend(
      (backend) => {
        expect(() => full([2 ** 25 + 1], 0, { backend, dtype: "uint8" })).toThrow(OutOfMemoryError);
      },
      { raiseLimits: false },
    ),
  );

  test(
    "a device without memory: a typed error at the next read, and the backend goes on",
    withBackend(async (backend) => {
      const { device } = backend;
      const popErrorScope = device.popErrorScope.bind(device);
      const kept = full([4], 2, { backend });
      await kept.data();
      // The next buffer is one that the device has no memory for.
      let failing = 1;
      device.popErrorScope = async () => {
        await popErrorScope();
        return failing-- > 0 ? ({ message: "no memory left" } as GPUError) : null;
      };
      const large = full([70_000], 1, { backend });
      await expect(large.data()).rejects.toThrow(OutOfMemoryError);
      large.dispose();
      const again = full([70_000], 3, { backend });
      expect((await again.data())[69_999]).toBe(3);
      expect(await kept.toArray()).toEqual([2, 2, 2, 2]);
    }),
  );

  test(
    "an invalid command: a typed error at the next read, and the backend goes on",
    withBackend(async (backend) => {
      const x = tensor([1, 2], { backend });
      backend.device.createShaderModule({ code: "not a shader" });
      await expect(x.data()).rejects.toThrow(KernelError);
      expect(await x.toArray()).toEqual([1, 2]);
    }),
  );

  test(
    "an index outside its axis comes out at the next read, with its value",
    withBackend(async (backend) => {
      const x = tensor([1, 2, 3], { backend });
      const y = x.gather(0, tensor(Int32Array.of(0, 7, 1), { backend }));
      await expect(y.data()).rejects.toThrow(new IndexError("gather: index[1] (flat) is 7, expected 0 to 2 on axis 0"));
      const loss = crossEntropy(full([1, 3], 0, { backend }), tensor(Int32Array.of(-1), { backend }));
      await expect(backend.sync()).rejects.toThrow("crossEntropy: labels[0] (flat) is -1, expected 0 to 2");
      expect((await loss.data()).length).toBe(1);
      expect(await x.toArray()).toEqual([1, 2, 3]);
    }),
  );

  test("a disposed backend refuses to work, and that is no loss", async () => {
    const backend = await createWebGpuBackend();
    const operand = { shape: [1], dtype: "float32", storage: backend.alloc({ shape: [1], dtype: "float32" }) } as const;
    let lost = false;
    backend.lost.then(() => {
      lost = true;
    });
    backend.dispose();
    backend.dispose();
    expect(() => backend.alloc({ shape: [1], dtype: "float32" })).toThrow(DisposedError);
    await expect(backend.read(operand)).rejects.toThrow(DisposedError);
    await expect(backend.sync()).rejects.toThrow(DisposedError);
    await backend.device.lost;
    expect(lost).toBe(false);
  });

  test(
    "a profile names the ops and adds up",
    withBackend(
      async (backend) => {
        const a = full([64, 64], 1, { backend });
        await a.matmul(a).relu().data();
        const profile = backend.profile();
        if (!backend.device.features.has("timestamp-query")) {
          expect(profile).toBeNull();
          return;
        }
        expect(profile?.map(({ op }) => op).sort()).toEqual(["fill", "matmul", "unary"]);
        expect(profile?.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
      },
      { profile: true },
    ),
  );

  test(
    "without the option there is no profile",
    withBackend((backend) => {
      expect(backend.profile()).toBeNull();
    }),
  );
});

withAdapter("a device that is lost", () => {
  // The device goes while the loop is at another await each time.
  const awaits = [
    "before the step",
    "after the dispatch",
    "while reading",
    "while syncing",
    "between two reads",
  ] as const;
  const cases = awaits.flatMap((when) => [0, 1, 2, 3].map((round) => [when, round] as const));
  const ROUNDS = 4;

  const train = async (
    backend: WebGpuBackend,
    at: readonly [(typeof awaits)[number], number] | undefined,
  ): Promise<Float32Array> => {
    const { weight, step } = createFit(backend);
    for (let round = 0; round < ROUNDS; round++) {
      const lose = at?.[1] === round ? at[0] : undefined;
      if (lose === "before the step") backend.device.destroy();
      const loss = step(round);
      if (lose === "after the dispatch") backend.device.destroy();
      if (lose === "while syncing") {
        const synced = backend.sync();
        backend.device.destroy();
        await synced;
      }
      const first = loss.item();
      if (lose === "while reading") backend.device.destroy();
      await first;
      if (lose === "between two reads") backend.device.destroy();
      await loss.item();
      loss.dispose();
    }
    return (await weight.data()) as Float32Array;
  };

  const fresh = async (): Promise<Float32Array> => {
    const backend = await createWebGpuBackend();
    try {
      return await train(backend, undefined);
    } finally {
      backend.dispose();
    }
  };

  test(
    "20 times, at different awaits: a typed error each time, and a new backend ends with the same weights",
    async () => {
      const undisturbed = await fresh();
      for (const at of cases) {
        const backend = await createWebGpuBackend();
        await expect(train(backend, at), at.join()).rejects.toThrow(BackendLostError);
        await expect(backend.lost).resolves.toMatchObject({ reason: "destroyed" });
        expect(() => full([1], 0, { backend })).toThrow(BackendLostError);
        backend.dispose();
        expect(await fresh(), at.join()).toEqual(undisturbed);
      }
    },
    SLOW,
  );
});
