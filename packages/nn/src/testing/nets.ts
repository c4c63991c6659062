/** The networks of the golden training runs, and what their JSON files say of them. */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import {
  adaptiveAvgPool2d,
  avgPool2d,
  batchNorm2d,
  conv2d,
  elu,
  flatten,
  type Layer,
  linear,
  localResponseNorm,
  maxPool2d,
  relu,
  sequential,
  tanh,
} from "../index.js";

const root = process.env["STRIATE_VECTORS"]
  ? pathToFileURL(`${process.env["STRIATE_VECTORS"]}/`)
  : new URL("../../../conformance/vectors/", import.meta.url);

/** A JSON file of the golden vectors. */
export const readVectors = <T>(path: string): T => JSON.parse(readFileSync(new URL(path, root), "utf8")) as T;

const conv3x3 = (inputs: number, outputs: number, stride = 1): Layer =>
  conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false });

const basicBlock =
  (inputs: number, outputs: number, stride: number): Layer =>
  (m) => {
    const conv1 = m.child("conv1", conv3x3(inputs, outputs, stride));
    const bn1 = m.child("bn1", batchNorm2d(outputs));
    const conv2 = m.child("conv2", conv3x3(outputs, outputs));
    const bn2 = m.child("bn2", batchNorm2d(outputs));
    const project = sequential([conv2d(inputs, outputs, 1, { stride, bias: false }), batchNorm2d(outputs)]);
    const downsample = stride === 1 && inputs === outputs ? undefined : m.child("downsample", project);
    return (x) =>
      bn2(conv2(bn1(conv1(x)).relu()))
        .add(downsample?.(x) ?? x)
        .relu();
  };

const resnet20: Layer = (m) => {
  const stage = (inputs: number, outputs: number, stride: number): Layer =>
    sequential([basicBlock(inputs, outputs, stride), basicBlock(outputs, outputs, 1), basicBlock(outputs, outputs, 1)]);
  const conv1 = m.child("conv1", conv3x3(3, 16));
  const bn1 = m.child("bn1", batchNorm2d(16));
  const stages = [
    m.child("layer1", stage(16, 16, 1)),
    m.child("layer2", stage(16, 32, 2)),
    m.child("layer3", stage(32, 64, 2)),
  ];
  const pool = m.child("avgpool", adaptiveAvgPool2d(1));
  const fc = m.child("fc", linear(64, 10));
  return (x) => fc(pool(stages.reduce((y, stage) => stage(y), bn1(conv1(x)).relu())).flatten(1));
};

const convBnRelu = (inputs: number, outputs: number): Layer[] => [
  conv2d(inputs, outputs, 3, { padding: 1 }),
  batchNorm2d(outputs),
  relu(),
];

export const nets: Readonly<Record<string, Layer>> = {
  ann: sequential([flatten(), linear(3072, 512), relu(), linear(512, 10)]),
  lenet: sequential([
    conv2d(3, 6, 5),
    relu(),
    maxPool2d(2),
    conv2d(6, 16, 5),
    relu(),
    maxPool2d(2),
    flatten(),
    linear(400, 120),
    relu(),
    linear(120, 84),
    relu(),
    linear(84, 10),
  ]),
  tanh_avg_lrn: sequential([
    conv2d(3, 8, 5, { padding: 2 }),
    tanh(),
    avgPool2d(2),
    localResponseNorm(5),
    conv2d(8, 16, 3, { stride: 2, padding: 1, groups: 2 }),
    elu(),
    maxPool2d(3, { stride: 2, ceilMode: true }),
    flatten(),
    linear(256, 10),
  ]),
  vgg_s: sequential([
    ...convBnRelu(3, 16),
    ...convBnRelu(16, 16),
    maxPool2d(2),
    ...convBnRelu(16, 32),
    ...convBnRelu(32, 32),
    maxPool2d(2),
    flatten(),
    linear(2048, 10),
  ]),
  resnet20,
};
