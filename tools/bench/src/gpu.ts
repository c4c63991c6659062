/**
 * What the WebGPU backend makes of the GPU at hand: `npm run bench:gpu`. The adapter, the cost of a dispatch, bandwidth,
 * matrix products, a training step of ResNet-18 for CIFAR and where its time goes, beside PyTorch where there is one with
 * CUDA, and a whole training by `npm run cifar10`.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { createWebGpuBackend, type ProfileEntry, profileTable, type WebGpuBackend } from "@striate/backend-webgpu";
import { crossEntropy, full, tensor } from "@striate/core";
import { batchNorm2d, build, conv2d, type Layer, linear } from "@striate/nn";
import { sgd } from "@striate/optim";
import { runTorch, type TorchResult } from "./gpu-torch.js";
import { type TrainedNet, trainNet } from "./trained-net.js";

const help = `Usage: npm run bench:gpu -- [options]

Times the WebGPU backend on this machine's GPU: some three minutes, and then a whole training by the preset air94.

  --json <file>  all of it as JSON as well; - for standard output, the text then goes to standard error
  --small        tiny sizes: on a software adapter, to see that it runs; PyTorch then runs on the processor, and the training
                 is three steps on made up images
  --help         this text

PyTorch is that of STRIATE_PYTHON, else of python3 on the PATH, else of /usr/bin/python3; without CUDA it is left out.
`;

/** Sizes of what is timed. */
interface Work {
  readonly matmuls: readonly number[];
  readonly batch: number;
  /** Channels of ResNet-18's first stage. */
  readonly width: number;
  readonly rounds: number;
  readonly steps: number;
  readonly dispatches: number;
  /** Elements. */
  readonly copied: number;
  /** Of `npm run cifar10`: the whole training. */
  readonly training: readonly string[];
}

const usual: Work = {
  matmuls: [1024, 2048, 4096, 8192],
  batch: 512,
  width: 64,
  rounds: 20,
  steps: 20,
  dispatches: 20_000,
  copied: 2 ** 27,
  training: ["--preset", "air94"],
};
const tiny: Work = {
  matmuls: [64],
  batch: 2,
  width: 4,
  rounds: 1,
  steps: 1,
  dispatches: 200,
  copied: 2 ** 16,
  training: ["--network", "lenet5", "--synthetic", "--fast-dev-run", "--batch-size", "4"],
};

/** The product that PyTorch is compared on. */
const comparedMatmul = ({ matmuls }: Work): number => (matmuls.includes(4096) ? 4096 : Math.max(...matmuls));

export interface GpuReport {
  readonly adapter: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
    readonly features: readonly string[];
    readonly limits: Readonly<Record<string, number>>;
  };
  /** Products that the adapter has units for, as Dawn lists them; none outside of Dawn. */
  readonly subgroupMatrixConfigs: readonly unknown[];
  readonly microsecondsPerDispatch: number;
  readonly gigabytesPerSecond: number;
  readonly matmulTeraflops: Readonly<Record<string, number>>;
  readonly resnet18: {
    readonly batch: number;
    readonly width: number;
    readonly seconds: number;
    /** Of them, the host's for encoding. */
    readonly encodeSeconds: number;
    readonly imagesPerSecond: number;
    readonly dispatches: number;
  };
  /** Null without `timestamp-query`. */
  readonly profile: readonly ProfileEntry[] | null;
  /** Null where there is none with CUDA; what it complained about, where it failed. */
  readonly torch: TorchResult | { readonly error: string } | null;
  readonly training: TrainedNet | { readonly error: string };
}

/** Seconds of one of `rounds` rounds, behind `warmup` others; the device is idle before and after. */
const time = async (backend: WebGpuBackend, rounds: number, run: () => void, warmup = 3): Promise<number> => {
  for (let i = 0; i < warmup; i++) run();
  await backend.sync();
  const started = performance.now();
  for (let i = 0; i < rounds; i++) run();
  await backend.sync();
  return (performance.now() - started) / 1000 / rounds;
};

const dispatchCost = async (backend: WebGpuBackend, { dispatches }: Work): Promise<number> => {
  let x = full([64], 1, { backend });
  const seconds = await time(backend, dispatches, () => {
    const y = x.neg();
    x.dispose();
    x = y;
  });
  x.dispose();
  return seconds * 1e6;
};

const bandwidth = async (backend: WebGpuBackend, { copied, rounds }: Work): Promise<number> => {
  // What the device can bind at once is a limit of its own.
  const size = Math.min(copied, Math.floor(backend.caps.maxBufferBytes / 4 / 1024) * 1024);
  const x = full([size], 1, { backend });
  const seconds = await time(backend, rounds, () => x.relu().dispose());
  x.dispose();
  return (2 * 4 * size) / seconds / 1e9;
};

const matmulSpeed = async (backend: WebGpuBackend, size: number, { rounds }: Work): Promise<number> => {
  const a = full([size, size], 0.5, { backend });
  const b = full([size, size], 0.25, { backend });
  const seconds = await time(backend, rounds, () => a.matmul(b).dispose());
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

/** ResNet-18 with a 3x3 stem and no pooling, as usual for CIFAR. gpu_torch.py has the same. */
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

interface Training {
  step(): void;
  /** Of the last step. */
  readonly dispatches: number;
  /** Of all steps so far, the host's. */
  readonly encodeSeconds: number;
  readonly steps: number;
}

const createTraining = (backend: WebGpuBackend, { batch, width }: Work): Training => {
  const net = build(resnet18(width), { backend, seed: 1 });
  const optimizer = sgd(net.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
  const pixels = Float32Array.from({ length: batch * 3072 }, (_, i) => Math.sin(i));
  const images = tensor(pixels, { backend, shape: [batch, 3, 32, 32] });
  const labels = tensor(
    Int32Array.from({ length: batch }, (_, i) => i % 10),
    { backend },
  );
  let [dispatches, encodeSeconds, steps] = [0, 0, 0];
  return {
    step: () => {
      const before = backend.statistics().dispatches;
      const started = performance.now();
      const loss = optimizer.step(() => crossEntropy(net.forward(images), labels));
      // Ends a round, see the backend's places; nobody waits for it.
      const read = loss.item().finally(() => loss.dispose());
      encodeSeconds += (performance.now() - started) / 1000;
      steps++;
      dispatches = backend.statistics().dispatches - before;
      // A device that fails says so to the next sync as well, which is awaited.
      read.catch(() => {});
    },
    get dispatches() {
      return dispatches;
    },
    get encodeSeconds() {
      return encodeSeconds;
    },
    get steps() {
      return steps;
    },
  };
};

/** Dawn lists them only with this switch. It is a device of its own, on which nothing else runs. */
const subgroupMatrixConfigs = async (): Promise<readonly unknown[]> => {
  const backend = await createWebGpuBackend({ dawnOptions: ["enable-dawn-features=allow_unsafe_apis"] });
  const info = backend.device.adapterInfo as { readonly subgroupMatrixConfigs?: readonly unknown[] };
  const found = [...(info.subgroupMatrixConfigs ?? [])];
  backend.dispose();
  return found;
};

const limitNames = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
] as const;

const measure = async (work: Work, torchDevice: "cuda" | "cpu", say: (line: string) => void): Promise<GpuReport> => {
  const matrices = await subgroupMatrixConfigs();
  const backend = await createWebGpuBackend();
  const { adapterInfo, features, limits } = backend.device;
  const { vendor, architecture, device, description } = adapterInfo;
  say(`adapter        ${[vendor, architecture, device, description].filter((text) => text !== "").join(", ")}`);
  say(`features       ${[...features].sort().join(" ")}`);
  say(
    `matrix units   ${matrices.length === 0 ? "none listed" : matrices.map((m) => JSON.stringify(m)).join("\n               ")}`,
  );
  const microsecondsPerDispatch = await dispatchCost(backend, work);
  say(`dispatch       ${microsecondsPerDispatch.toFixed(2)} µs`);
  const gigabytesPerSecond = await bandwidth(backend, work);
  say(`bandwidth      ${gigabytesPerSecond.toFixed(1)} GB/s, read and written by relu`);
  const matmulTeraflops: Record<string, number> = {};
  for (const size of work.matmuls) {
    const found = await matmulSpeed(backend, size, work);
    matmulTeraflops[size] = found;
    say(`matmul         ${size}³: ${found.toFixed(3)} TFLOP/s`);
  }
  const training = createTraining(backend, work);
  const warmup = Math.min(5, work.steps);
  for (let i = 0; i < warmup; i++) training.step();
  await backend.sync();
  const encodedBefore = training.encodeSeconds;
  const seconds = await time(backend, work.steps, training.step, 0);
  const resnet = {
    batch: work.batch,
    width: work.width,
    seconds,
    encodeSeconds: (training.encodeSeconds - encodedBefore) / work.steps,
    imagesPerSecond: work.batch / seconds,
    dispatches: training.dispatches,
  };
  backend.dispose();
  say(
    `ResNet-18      batch ${work.batch}: ${resnet.imagesPerSecond.toFixed(1)} images/s; a step is ${(1000 * seconds).toFixed(1)} ms,` +
      ` ${(1000 * resnet.encodeSeconds).toFixed(1)} ms of encoding, ${resnet.dispatches} dispatches`,
  );

  const profiled = await createWebGpuBackend({ profile: true });
  const again = createTraining(profiled, work);
  for (let i = 0; i < warmup; i++) {
    again.step();
    await profiled.sync();
  }
  const profile = profiled.profile();
  profiled.dispose();
  if (profile) say(profileTable(profile).replaceAll(/^/gm, "               "));

  const sizes = { matmul: comparedMatmul(work), batch: work.batch, width: work.width, rounds: work.rounds };
  const failed = (error: Error): { readonly error: string } => ({ error: error.message });
  const torch = await runTorch(torchDevice, sizes).catch(failed);
  if (torch === null) say("PyTorch        none with CUDA");
  else if ("error" in torch) say(`PyTorch        failed: ${torch.error}`);
  else {
    say(`PyTorch        ${torch.version} on ${torch.device}; ours over its, in brackets`);
    for (const [name, { matmulTeraflops: product, imagesPerSecond }] of [
      ["float32", torch.float32],
      ["TF32", torch.tf32],
    ] as const) {
      const ratios = [(matmulTeraflops[sizes.matmul] as number) / product, resnet.imagesPerSecond / imagesPerSecond];
      const [matmulRatio, trainingRatio] = ratios.map((ratio) => ratio.toFixed(3));
      say(
        `  ${name.padEnd(12)} matmul ${sizes.matmul}³ ${product.toFixed(3)} TFLOP/s (${matmulRatio}),` +
          ` ResNet-18 ${imagesPerSecond.toFixed(1)} images/s (${trainingRatio})`,
      );
    }
  }
  const trained = await trainNet(["--backend", "webgpu", ...work.training]).catch(failed);
  if ("error" in trained) say(`training       failed: ${trained.error}`);
  else {
    const { preset, testAccuracy, trainSeconds, steps, imagesPerSecond } = trained;
    say(
      `training       ${preset}: ${(100 * testAccuracy).toFixed(2)} % of the test images after ${trainSeconds.toFixed(1)} s` +
        ` (${steps} steps, ${imagesPerSecond.toFixed(0)} images/s)`,
    );
  }
  return {
    adapter: {
      ...{ vendor, architecture, device, description },
      features: [...features].sort(),
      limits: Object.fromEntries(limitNames.map((name) => [name, limits[name]])),
    },
    subgroupMatrixConfigs: matrices,
    ...{ microsecondsPerDispatch, gigabytesPerSecond, matmulTeraflops, profile, torch },
    resnet18: resnet,
    training: trained,
  };
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: { json: { type: "string" }, small: { type: "boolean" }, help: { type: "boolean" } },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const out = values.json === "-" ? process.stderr : process.stdout;
  const report = await measure(values.small ? tiny : usual, values.small ? "cpu" : "cuda", (line) => {
    out.write(`${line}\n`);
  });
  if ([report.torch, report.training].some((part) => part !== null && "error" in part)) process.exitCode = 1;
  if (values.json === undefined) return;
  const text = `${JSON.stringify(report, null, 2)}\n`;
  if (values.json === "-") process.stdout.write(text);
  else await writeFile(values.json, text);
};

await main();
