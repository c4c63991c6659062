/**
 * The small networks of the training vectors, as functions of their parameters, with PyTorch's names for these: the
 * number of the layer in a `Sequential`, or the attribute path.
 */

import type { Tensor } from "@striate/core";
import * as core from "@striate/core";

export type NamedTensors = ReadonlyMap<string, Tensor>;

export interface State {
  readonly parameters: NamedTensors;
  /** Running statistics. */
  readonly buffers: NamedTensors;
  readonly training: boolean;
}

export interface Network {
  /** images [N, 3, 32, 32] -> logits [N, 10]. Call it in a `scope`. */
  forward(state: State, images: Tensor): Tensor;
  /** Batch norms by name, with their channels. */
  readonly norms: Readonly<Record<string, number>>;
  /** Biases in front of a batch norm: their gradient is rounding noise. */
  readonly shadowed: readonly string[];
  /** Free of batch norm, ReLU chains and the like, so that float32 follows float64 closely. */
  readonly smooth: boolean;
}

const need = (tensors: NamedTensors, name: string): Tensor => {
  const tensor = tensors.get(name);
  if (!tensor) throw new core.ArgumentError(`the network has no tensor ${name}`);
  return tensor;
};

const conv = ({ parameters }: State, name: string, x: Tensor, options: core.Conv2dOptions = {}): Tensor =>
  core.conv2d(x, need(parameters, `${name}.weight`), { ...options, bias: parameters.get(`${name}.bias`) });

const linear = ({ parameters }: State, name: string, x: Tensor): Tensor =>
  core.linear(x, need(parameters, `${name}.weight`), need(parameters, `${name}.bias`));

const norm = ({ parameters, buffers, training }: State, name: string, x: Tensor): Tensor =>
  core.batchNorm(x, {
    weight: need(parameters, `${name}.weight`),
    bias: need(parameters, `${name}.bias`),
    runningMean: need(buffers, `${name}.running_mean`),
    runningVar: need(buffers, `${name}.running_var`),
    training,
  });

const pool = (x: Tensor): Tensor => core.maxPool2d(x, { kernel: 2 });

const plain = { norms: {}, shadowed: [] } as const;

const ann: Network = {
  ...plain,
  smooth: true,
  forward: (state, x) => linear(state, "3", core.relu(linear(state, "1", core.flatten(x, 1)))),
};

const lenet: Network = {
  ...plain,
  smooth: false,
  forward: (state, x) => {
    const features = pool(core.relu(conv(state, "3", pool(core.relu(conv(state, "0", x))))));
    const hidden = core.relu(linear(state, "9", core.relu(linear(state, "7", core.flatten(features, 1)))));
    return linear(state, "11", hidden);
  },
};

const tanhAvgLrn: Network = {
  ...plain,
  smooth: true,
  forward: (state, x) => {
    const first = core.tanh(conv(state, "0", x, { padding: 2 }));
    const normalized = core.localResponseNorm(core.avgPool2d(first, { kernel: 2 }), { size: 5 });
    const second = core.elu(conv(state, "4", normalized, { stride: 2, padding: 1, groups: 2 }));
    const pooled = core.maxPool2d(second, { kernel: 3, stride: 2, ceilMode: true });
    return linear(state, "8", core.flatten(pooled, 1));
  },
};

const vggConvs = ["0", "3", "7", "10"] as const;
const vggNorms = { "1": 16, "4": 16, "8": 32, "11": 32 } as const;

const vggS: Network = {
  norms: vggNorms,
  shadowed: vggConvs.map((name) => `${name}.bias`),
  smooth: false,
  forward: (state, x) => {
    const block = (input: Tensor, nth: number): Tensor =>
      core.relu(
        norm(state, Object.keys(vggNorms)[nth] as string, conv(state, vggConvs[nth] as string, input, { padding: 1 })),
      );
    const half = pool(block(block(x, 0), 1));
    return linear(state, "15", core.flatten(pool(block(block(half, 2), 3)), 1));
  },
};

const resnetStages = [
  { name: "layer1", channels: 16, stride: 1 },
  { name: "layer2", channels: 32, stride: 2 },
  { name: "layer3", channels: 64, stride: 2 },
] as const;

const resnet20: Network = {
  norms: Object.fromEntries([
    ["bn1", 16],
    ...resnetStages.flatMap(({ name, channels, stride }) => [
      ...[0, 1, 2].flatMap((block) => [1, 2].map((nth) => [`${name}.${block}.bn${nth}`, channels] as const)),
      ...(stride === 1 ? [] : [[`${name}.0.downsample.1`, channels] as const]),
    ]),
  ]),
  shadowed: [],
  smooth: false,
  forward: (state, images) => {
    let x = core.relu(norm(state, "bn1", conv(state, "conv1", images, { padding: 1 })));
    for (const { name, stride } of resnetStages)
      for (let block = 0; block < 3; block++) {
        const at = `${name}.${block}`;
        const step = block === 0 ? stride : 1;
        const first = core.relu(norm(state, `${at}.bn1`, conv(state, `${at}.conv1`, x, { stride: step, padding: 1 })));
        const second = norm(state, `${at}.bn2`, conv(state, `${at}.conv2`, first, { padding: 1 }));
        const shortcut =
          step === 1 ? x : norm(state, `${at}.downsample.1`, conv(state, `${at}.downsample.0`, x, { stride: step }));
        x = core.relu(core.add(second, shortcut));
      }
    return linear(state, "fc", core.mean(x, [2, 3]));
  },
};

export const networks: Readonly<Record<string, Network>> = {
  ann,
  lenet,
  tanh_avg_lrn: tanhAvgLrn,
  vgg_s: vggS,
  resnet20,
};
