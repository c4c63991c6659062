/**
 * What the bridge to tfjs costs: LeNet-5 forward on a batch of 64, once by Striate on a backend of tfjs, once by hand on the
 * same backend, taking turns in one process:
 *
 *     npm run build && node tools/bench/dist/tfjs-bridge.js [cpu|wasm …]
 */
import { pathToFileURL } from "node:url";
import { createTfjsBackend } from "@striate/backend-tfjs";
import { conv2d, linear, maxPool2d, noGrad, scope, type Tensor, tensor } from "@striate/core";
import * as tf from "@tensorflow/tfjs-core";
import { summarize, summarizeRatio } from "./statistics.js";

const packages = {
  cpu: () => import("@tensorflow/tfjs-backend-cpu"),
  wasm: () => import("@tensorflow/tfjs-backend-wasm"),
} as const;

export type BridgedName = keyof typeof packages;
export const bridgedNames = Object.keys(packages) as readonly BridgedName[];

const BATCH = 64;

/** The same numbers at every run. */
const numbers = (count: number, scale: number, phase: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898 + phase) * scale);

const convolutions = [
  { in: 1, out: 6, padding: 2 },
  { in: 6, out: 16, padding: 0 },
] as const;
const linears = [
  [400, 120],
  [120, 84],
  [84, 10],
] as const;

const convWeight = (i: number): Float32Array => {
  const { in: inputs, out } = convolutions[i] as (typeof convolutions)[number];
  return numbers(out * inputs * 25, 0.2, i);
};
const linearWeight = (i: number): Float32Array => {
  const [inputs, out] = linears[i] as (typeof linears)[number];
  return numbers(out * inputs, 0.1, 10 + i);
};
const bias = (n: number): Float32Array => numbers(n, 0.1, n);
const images = (): Float32Array => numbers(BATCH * 28 * 28, 1, 0.5);

/** One way to compute the logits of the batch. */
interface Forward {
  run(): Promise<ArrayLike<number>>;
}

const byStriate = async (name: BridgedName): Promise<Forward> => {
  const backend = await createTfjsBackend({ backend: name, tf });
  const place = (data: Float32Array, shape: readonly number[]): Tensor => tensor(data, { shape, backend });
  const x = place(images(), [BATCH, 1, 28, 28]);
  const convs = convolutions.map(({ in: inputs, out, padding }, i) => ({
    weight: place(convWeight(i), [out, inputs, 5, 5]),
    bias: place(bias(out), [out]),
    padding,
  }));
  const layers = linears.map(([inputs, out], i) => ({
    weight: place(linearWeight(i), [out, inputs]),
    bias: place(bias(out), [out]),
  }));
  return {
    run: async () => {
      const logits = scope(() =>
        noGrad(() => {
          let y = x;
          for (const { weight, ...options } of convs) y = maxPool2d(conv2d(y, weight, options).relu(), { kernel: 2 });
          y = y.flatten(1);
          for (const [i, layer] of layers.entries()) {
            y = linear(y, layer.weight, layer.bias);
            if (i < layers.length - 1) y = y.relu();
          }
          return y;
        }),
      );
      const values = await logits.data();
      logits.dispose();
      return values;
    },
  };
};

/** As its guide has it: NHWC throughout, weights in tfjs's order. The first linear layer's rows come in that order, too. */
const byHand = async (name: BridgedName): Promise<Forward> => {
  await tf.setBackend(name);
  const x = tf.tensor4d(images(), [BATCH, 28, 28, 1]);
  const convs = convolutions.map(({ in: inputs, out, padding }, i) => ({
    weight: tf.tidy(() => tf.transpose(tf.tensor4d(convWeight(i), [out, inputs, 5, 5]), [2, 3, 1, 0])),
    bias: tf.tensor1d(bias(out)),
    padding,
  }));
  const layers = linears.map(([inputs, out], i) => ({
    weight: tf.tidy(() => {
      const data = linearWeight(i);
      if (i > 0) return tf.transpose(tf.tensor2d(data, [out, inputs]));
      const ordered = tf.transpose(tf.tensor4d(data, [out, 16, 5, 5]), [2, 3, 1, 0]);
      return tf.reshape(ordered, [inputs, out]) as tf.Tensor2D;
    }),
    bias: tf.tensor1d(bias(out)),
  }));
  return {
    run: async () => {
      const logits = tf.tidy(() => {
        let y: tf.Tensor = x;
        for (const layer of convs) {
          const conv = tf.conv2d(y as tf.Tensor4D, layer.weight as tf.Tensor4D, 1, layer.padding);
          y = tf.maxPool(tf.relu(tf.add(conv, layer.bias)) as tf.Tensor4D, 2, 2, "valid");
        }
        y = tf.reshape(y, [BATCH, 400]);
        for (const [i, layer] of layers.entries()) {
          y = tf.add(tf.matMul(y, layer.weight), layer.bias);
          if (i < layers.length - 1) y = tf.relu(y);
        }
        return y;
      });
      const values = await logits.data();
      logits.dispose();
      return values;
    },
  };
};

export interface BridgeResult {
  /** Milliseconds of CPU time a batch, of each round: what else the machine does disturbs it little. */
  readonly bridged: readonly number[];
  readonly byHand: readonly number[];
  /** Largest difference of the logits, over the largest logit. */
  readonly disagreement: number;
}

/** @throws RangeError for fewer than one round. */
export const measureBridge = async (name: BridgedName, rounds: number): Promise<BridgeResult> => {
  if (!(rounds >= 1)) throw new RangeError(`measureBridge: ${rounds} rounds, expected at least 1`);
  await packages[name]();
  tf.enableProdMode();
  const [bridged, own] = [await byStriate(name), await byHand(name)];
  const [a, b] = [await bridged.run(), await own.run()];
  const size = Math.max(...Array.from(b, Math.abs));
  const disagreement = Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] as number)))) / size;
  const timed = async ({ run }: Forward): Promise<number> => {
    const start = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
  const times: { bridged: number[]; byHand: number[] } = { bridged: [], byHand: [] };
  for (let round = 0; round < rounds; round++) {
    times.bridged.push(await timed(bridged));
    times.byHand.push(await timed(own));
  }
  return { ...times, disagreement };
};

const main = async (names: readonly string[]): Promise<void> => {
  for (const name of names.length > 0 ? names : bridgedNames) {
    if (!Object.hasOwn(packages, name)) throw new Error(`${name}: expected one of ${bridgedNames.join(", ")}`);
    const { bridged, byHand, disagreement } = await measureBridge(name as BridgedName, 45);
    // The first rounds compile.
    const [warm, own] = [bridged.slice(5), byHand.slice(5)];
    const ratio = summarizeRatio(warm, own);
    process.stdout.write(
      `${name}: bridged ${summarize(warm).median.toFixed(2)} ms, by hand ${summarize(own).median.toFixed(2)} ms, ` +
        `ratio ${ratio.median.toFixed(3)} (${ratio.min.toFixed(3)} … ${ratio.max.toFixed(3)}), logits differ by ${disagreement.toExponential(1)}\n`,
    );
  }
};

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv.slice(2));
