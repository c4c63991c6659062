/**
 * What the WebGPU backend makes of the GPU at hand: `npm run bench:gpu`. Prints JSON: the adapter, the cost of a dispatch,
 * bandwidth, matrix products, a training step of ResNet-18 for CIFAR, and where its time goes. `--small` is for software
 * adapters, to see that it runs.
 */
import { createWebGpuBackend, type WebGpuBackend } from "@striate/backend-webgpu";
import { crossEntropy, full, type Tensor, tensor } from "@striate/core";
import { batchNorm2d, build, conv2d, type Layer, linear } from "@striate/nn";
import { sgd } from "@striate/optim";

const small = process.argv.includes("--small");

/** Seconds of one of `rounds` rounds, behind `warmup` others; the device is idle before and after. */
const time = async (backend: WebGpuBackend, rounds: number, run: () => void, warmup = 3): Promise<number> => {
  for (let i = 0; i < warmup; i++) run();
  await backend.sync();
  const started = performance.now();
  for (let i = 0; i < rounds; i++) run();
  await backend.sync();
  return (performance.now() - started) / 1000 / rounds;
};

const dispatchCost = async (backend: WebGpuBackend): Promise<number> => {
  let x = full([64], 1, { backend });
  const seconds = await time(backend, small ? 200 : 20_000, () => {
    const y = x.neg();
    x.dispose();
    x = y;
  });
  x.dispose();
  return seconds * 1e6;
};

const bandwidth = async (backend: WebGpuBackend): Promise<number> => {
  const size = small ? 2 ** 16 : 2 ** 27;
  const x = full([size], 1, { backend });
  const seconds = await time(backend, small ? 2 : 20, () => x.relu().dispose());
  x.dispose();
  return (2 * 4 * size) / seconds / 1e9;
};

const matmulSpeed = async (backend: WebGpuBackend, size: number): Promise<number> => {
  const a = full([size, size], 0.5, { backend });
  const b = full([size, size], 0.25, { backend });
  const seconds = await time(backend, small ? 1 : 20, () => a.matmul(b).dispose());
  for (const t of [a, b]) t.dispose();
  return (2 * size ** 3) / seconds / 1e12;
};

const block =
  (inputs: number, outputs: number, stride: number): Layer =>
  (m) => {
    const conv1 = m.child("conv1", conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false }));
    const bn1 = m.child("bn1", batchNorm2d(outputs));
    const conv2 = m.child("conv2", conv2d(outputs, outputs, 3, { padding: 1, bias: false }));
    const bn2 = m.child("bn2", batchNorm2d(outputs));
    const plain = stride === 1 && inputs === outputs;
    const shortcut = plain ? undefined : m.child("shortcut", conv2d(inputs, outputs, 1, { stride, bias: false }));
    const norm = plain ? undefined : m.child("norm", batchNorm2d(outputs));
    return (x) =>
      bn2(conv2(bn1(conv1(x)).relu()))
        .add(shortcut && norm ? norm(shortcut(x)) : x)
        .relu();
  };

/** ResNet-18 with a 3x3 stem and no pooling, as usual for CIFAR. */
const resnet18 =
  (width: number): Layer =>
  (m) => {
    const stem = m.child("conv1", conv2d(3, width, 3, { padding: 1, bias: false }));
    const norm = m.child("bn1", batchNorm2d(width));
    const blocks = [0, 1, 2, 3].flatMap((stage) =>
      [0, 1].map((i) => {
        const outputs = width * 2 ** stage;
        const first = i === 0 && stage > 0;
        return m.child(`layer${stage + 1}_${i}`, block(first ? outputs / 2 : outputs, outputs, first ? 2 : 1));
      }),
    );
    const head = m.child("fc", linear(width * 8, 10));
    return (x) => head(blocks.reduce((y, forward) => forward(y), norm(stem(x)).relu()).mean([2, 3]));
  };

interface Step {
  run(): void;
  readonly dispatches: number;
}

const trainingStep = (backend: WebGpuBackend, batch: number): Step => {
  const net = build(resnet18(small ? 4 : 64), { backend, seed: 1 });
  const optimizer = sgd(net.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
  const images = tensor(
    Float32Array.from({ length: batch * 3072 }, (_, i) => Math.sin(i)),
    { backend, shape: [batch, 3, 32, 32] },
  );
  const labels = tensor(
    Int32Array.from({ length: batch }, (_, i) => i % 10),
    { backend },
  );
  let dispatches = 0;
  return {
    run: () => {
      const before = backend.statistics().dispatches;
      const loss: Tensor = optimizer.step(() => crossEntropy(net.forward(images), labels));
      // Ends a round, see the backend's places; nobody waits for it.
      loss
        .item()
        .finally(() => loss.dispose())
        .catch(() => {});
      dispatches = backend.statistics().dispatches - before;
    },
    get dispatches() {
      return dispatches;
    },
  };
};

const main = async (): Promise<void> => {
  const backend = await createWebGpuBackend();
  const { adapterInfo, features } = backend.device;
  const matmul: Record<string, number> = {};
  for (const size of small ? [64] : [1024, 2048, 4096, 8192]) matmul[size] = await matmulSpeed(backend, size);
  const microsecondsPerDispatch = await dispatchCost(backend);
  const gigabytesPerSecond = await bandwidth(backend);
  const batch = small ? 1 : 512;
  const step = trainingStep(backend, batch);
  const seconds = await time(backend, small ? 1 : 20, step.run, small ? 1 : 5);
  backend.dispose();

  const profiled = await createWebGpuBackend({ profile: true });
  const again = trainingStep(profiled, batch);
  for (let i = 0; i < (small ? 1 : 5); i++) {
    again.run();
    await profiled.sync();
  }
  const profile = profiled.profile();
  profiled.dispose();

  const { vendor, architecture, device, description } = adapterInfo;
  const report = {
    adapter: { vendor, architecture, device, description, features: [...features] },
    subgroupMatrixConfigs: (adapterInfo as { readonly subgroupMatrixConfigs?: unknown }).subgroupMatrixConfigs ?? null,
    microsecondsPerDispatch,
    gigabytesPerSecond,
    matmulTeraflops: matmul,
    resnet18: { batch, seconds, imagesPerSecond: batch / seconds, dispatches: step.dispatches },
    profile,
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
};

await main();
