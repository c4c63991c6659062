/** What is timed, as data that every peer can read, and the numbers that it starts from. */
import { randomWords } from "@striate/core";
import {
  type ImageShape,
  multiplyAdds,
  type NetworkName,
  networks,
  type ParameterSpec,
  parametersOf,
} from "./networks.js";

export type ConvOp = "conv2d" | "conv2dGradInput" | "conv2dGradWeight";

export type Problem =
  /** [size, size] x [size, size] */
  | { readonly op: "matmul"; readonly size: number }
  /** Square images and kernels, stride 1; the gradients are for a given gradient of the output. */
  | {
      readonly op: ConvOp;
      readonly batch: number;
      readonly in: number;
      readonly out: number;
      readonly image: number;
      readonly kernel: number;
      readonly padding: number;
    }
  /** A step of SGD with momentum on the cross-entropy of one batch. */
  | { readonly op: "train"; readonly network: NetworkName; readonly batch: number; readonly image: number };

export type TrainProblem = Extract<Problem, { op: "train" }>;
export type ConvProblem = Extract<Problem, { op: ConvOp }>;

export const training = { learningRate: 0.05, momentum: 0.9, classes: 10 } as const;

/** Float32 elements in row-major order. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** By name: `a`, `b`; `x`, `w`, `gy`; `images` and the parameters of the network. Layouts are NCHW and OIHW. */
export interface Inputs {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Of a training step. */
  readonly labels: Int32Array;
}

export const imageShape = ({ image }: TrainProblem): ImageShape => [3, image, image];

/** Images in a run, null where the problem has no batch. */
export const batchOf = (problem: Problem): number | null => (problem.op === "matmul" ? null : problem.batch);

export const withBatch = (problem: Problem, batch: number): Problem =>
  problem.op === "matmul" ? problem : { ...problem, batch };

/** Output pixels along one side. */
export const convOutput = ({ image, kernel, padding }: ConvProblem): number => image + 2 * padding - kernel + 1;

/** Floating-point operations of a run: two a multiply-add; a training step is three forward passes. */
export const flopOf = (problem: Problem): number => {
  if (problem.op === "matmul") return 2 * problem.size ** 3;
  if (problem.op === "train") {
    const layers = networks[problem.network].layers(problem.image);
    return 6 * problem.batch * multiplyAdds(layers, imageShape(problem));
  }
  return 2 * problem.batch * problem.in * problem.out * problem.kernel ** 2 * convOutput(problem) ** 2;
};

/** A smaller problem of the same kind, from whose time that of `problem` can be told before it is tried. */
export const probeOf = (problem: Problem): Problem => {
  if (problem.op === "matmul") return { ...problem, size: Math.max(1, problem.size >> 2) };
  if (problem.op === "train") return { ...problem, batch: 1, image: networks[problem.network].smallestImage };
  return { ...problem, batch: 1 };
};

/** Uniform numbers in [-scale, scale), a function of the stream alone. */
const uniform = (count: number, stream: number, scale: number): Float32Array =>
  Float32Array.from(randomWords(1, stream, 0, count), (word) => (word / 2 ** 31 - 1) * scale);

const parameterData = ({ shape, init }: ParameterSpec, stream: number): Float32Array => {
  const size = shape.reduce((a, b) => a * b, 1);
  if (init === "ones") return new Float32Array(size).fill(1);
  return init === "zeros" ? new Float32Array(size) : uniform(size, stream, init.bound);
};

const shapesOf = (problem: Exclude<Problem, TrainProblem>): Record<string, readonly number[]> => {
  if (problem.op === "matmul") return { a: [problem.size, problem.size], b: [problem.size, problem.size] };
  const output = convOutput(problem);
  const x = [problem.batch, problem.in, problem.image, problem.image];
  const w = [problem.out, problem.in, problem.kernel, problem.kernel];
  const gy = [problem.batch, problem.out, output, output];
  return { conv2d: { x, w }, conv2dGradInput: { w, gy }, conv2dGradWeight: { x, gy } }[problem.op];
};

/** The same for every peer, run after run. */
export const inputsOf = (problem: Problem): Inputs => {
  const unit = Math.sqrt(3); // standard deviation 1
  const tensors = new Map<string, HostTensor>();
  if (problem.op !== "train") {
    for (const [name, shape] of Object.entries(shapesOf(problem))) {
      const data = uniform(
        shape.reduce((a, b) => a * b, 1),
        tensors.size,
        unit,
      );
      tensors.set(name, { shape, data });
    }
    return { tensors, labels: new Int32Array(0) };
  }
  const { batch, image } = problem;
  const layers = networks[problem.network].layers(image);
  tensors.set("images", { shape: [batch, 3, image, image], data: uniform(batch * 3 * image * image, 0, unit) });
  const labels = Int32Array.from(randomWords(1, 1, 0, batch), (word) => word % training.classes);
  parametersOf(layers, imageShape(problem)).forEach((spec, i) => {
    tensors.set(spec.name, { shape: spec.shape, data: parameterData(spec, 2 + i) });
  });
  return { tensors, labels };
};

/** An input by name. @throws Error if there is none: the peer reads what the problem does not give. */
export const inputNamed = ({ tensors }: Inputs, name: string): HostTensor => {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`the problem has no input ${name}, it has ${[...tensors.keys()].join(", ")}`);
  return tensor;
};
