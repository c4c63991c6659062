/** Shapes without values: a backend on which networks of any size are built and run in no memory and next to no time. */
import {
  type Backend,
  type Call,
  type DType,
  defineBackend,
  type Kernels,
  type OpName,
  type OptionalOp,
  requiredOps,
  type TensorSpec,
  UnsupportedError,
} from "@striate/core/backend";
import { build, type Forward, type Layer } from "@striate/nn";

/** All but those of two ops, which arrive as the two: core decomposes nothing else. */
const optionalOps = {
  binaryScalar: true,
  pointwise: true,
  activation: true,
  activationGrad: true,
  reluGrad: true,
  clamp: true,
  variance: true,
  softmax: true,
  logSoftmax: true,
  softmaxGrad: true,
  logSoftmaxGrad: true,
  crossEntropy: true,
  crossEntropyGrad: true,
  conv2d: true,
  conv2dGradInput: true,
  conv2dGradWeight: true,
  maxPool2d: true,
  maxPool2dGrad: true,
  avgPool2d: true,
  avgPool2dGrad: true,
  batchNorm: true,
  batchNormInference: true,
  batchNormGrad: true,
  localResponseNorm: true,
  concat: true,
  remapLookUp: true,
  cumsum: true,
  randomBits: true,
} as const satisfies Readonly<Record<Exclude<OptionalOp, "conv2dRelu" | "batchNormRelu">, true>>;

/** A call of any kernel; `op` tells which. */
export type AnyCall = { readonly [K in OpName]: Call<K> }[OpName];

const dtypes: readonly DType[] = ["float32", "float64", "float16", "int32", "uint8", "bool"];

const valueless = (op: string): UnsupportedError => new UnsupportedError(op, "shapes", "its tensors have no values");

/**
 * A backend whose tensors have shapes and no values. Kernels do nothing; `onCall` hears of each. Storages are distinct
 * objects. Reading throws UnsupportedError.
 */
export const shapeBackend = (onCall: (call: AnyCall) => void = () => {}): Backend => {
  const kernels = Object.fromEntries([
    ...requiredOps.map((op) => [op, onCall] as const),
    ...Object.keys(optionalOps).map((op) => [op, { run: onCall }] as const),
  ]) as unknown as Kernels;
  return defineBackend({
    apiVersion: 1,
    name: "shapes",
    caps: {
      dtypes: new Set(dtypes),
      maxBufferBytes: Number.POSITIVE_INFINITY,
      syncRead: false,
      deterministic: true,
      nan: "unspecified",
    },
    kernels,
    alloc: () => ({}),
    free: () => {},
    write: () => {},
    read: () => Promise.reject(valueless("read")),
    flush: () => {},
    sync: () => Promise.resolve(),
    lost: new Promise(() => {}),
    dispose: () => {},
  });
};

/** Shape and dtype of every entry of the state dict that a network of this layer has, by name; nothing is allocated. */
export const stateShapes = (layer: Layer<Forward>): ReadonlyMap<string, TensorSpec> => {
  const net = build(layer, { backend: shapeBackend(), seed: 0, initialise: false });
  return new Map([...net.stateDict()].map(([name, { shape, dtype }]) => [name, { shape, dtype }]));
};
