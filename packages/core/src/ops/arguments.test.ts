import { describe, expect, test } from "vitest";
import type { DType, Shape } from "../backend.js";
import * as ops from "../index.js";
import {
  ArgumentError,
  DTypeError,
  IndexError,
  memoryUsage,
  ShapeError,
  type StriateError,
  type Tensor,
} from "../index.js";
import { alteredBackend } from "../testing/altered-backend.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

let kernels = 0;
const backend = alteredBackend(await createMinimalBackend(), { onKernel: () => void kernels++ });

const made = new Map<string, Tensor>();
/** Ones of a shape, made at the first call only. */
const cached =
  (dtype: DType) =>
  (...shape: number[]): Tensor => {
    const key = `${dtype} ${shape}`;
    const tensor = made.get(key) ?? ops.ones(shape, { backend, dtype });
    made.set(key, tensor);
    return tensor;
  };
const f = cached("float32");
const double = cached("float64");
const int = cached("int32");
const byte = cached("uint8");
const bool = cached("bool");

const [image, matrix, labels, flags] = [f(1, 4, 5, 5), f(2, 3), int(2), bool(2)];

/** Good but for what is given. */
const remap = ({ x = byte(2, 3, 4, 5), rows = int(2, 2), columns = int(2, 3), table = f(1, 3, 256) }): Tensor =>
  ops.remapLookUp(x, { rows, columns, table });

type Row = readonly [call: () => unknown, type: new (...args: never[]) => StriateError, message: string];
const rows: readonly Row[] = [
  // Elementwise
  [() => matrix.add(f(3, 2)), ShapeError, "add: shapes [2, 3] and [3, 2] do not broadcast: 3 meets 2"],
  [() => matrix.mul(double(2, 3)), DTypeError, "mul: a is float32, b is float64; cast one of them"],
  [() => labels.div(2), DTypeError, "div: a is int32, expected float32 or float64 or float16"],
  [() => labels.add(0.5), ArgumentError, "add: 0.5 is no int32"],
  [() => byte(2).maximum(-1), ArgumentError, "maximum: -1 is no uint8"],
  [() => ops.add(1, 2), ArgumentError, "add: both operands are numbers"],
  [() => flags.add(flags), DTypeError, "add: a is bool"],
  [() => labels.exp(), DTypeError, "exp: x is int32"],
  [() => flags.neg(), DTypeError, "neg: x is bool"],
  [() => labels.gelu(), DTypeError, "gelu: x is int32"],
  [() => matrix.gt(f(3, 2)), ShapeError, "gt: shapes"],
  [() => matrix.eq(double(2, 3)), DTypeError, "eq: a is float32, b is float64"],
  [() => labels.lt(1.5), ArgumentError, "lt: 1.5 is no int32"],
  [() => matrix.logicalNot(), DTypeError, "logicalNot: a is float32, expected bool"],
  [() => flags.logicalAnd(labels), DTypeError, "logicalAnd: b is int32, expected bool"],
  [() => matrix.where(1, matrix), DTypeError, "where: condition is float32, expected bool"],
  [() => flags.where(1, 2), ArgumentError, "where: a and b are both numbers"],
  [() => flags.where(labels, 0.5), ArgumentError, "where: 0.5 is no int32"],
  [() => flags.where(f(2), labels), DTypeError, "where: a is float32, b is int32"],
  [() => flags.where(f(3), f(3)), ShapeError, "where: shapes [2] and [3] and [3]"],
  [() => matrix.clamp({ min: 2, max: 1 }), ArgumentError, "clamp: min 2 is above max 1"],
  [() => matrix.clamp({ min: Number.NaN }), ArgumentError, "clamp: min NaN is above max Infinity"],
  [() => labels.clamp({ max: 0.5 }), ArgumentError, "clamp: 0.5 is no int32"],
  // Reductions
  [() => matrix.sum(2), ShapeError, "sum: axis 2 is out of range for rank 2"],
  [() => matrix.max([0, 0]), ShapeError, "max: axes [0, 0] name an axis twice"],
  [() => labels.mean(), DTypeError, "mean: x is int32"],
  [() => flags.sum(), DTypeError, "sum: x is bool"],
  [() => matrix.variance(5), ShapeError, "variance: axis 5"],
  [() => labels.logSumExp(), DTypeError, "logSumExp: x is int32"],
  [() => matrix.argmax(2), ShapeError, "argmax: axis 2"],
  [() => flags.argmin(), DTypeError, "argmin: x is bool"],
  [() => matrix.cumsum(-3), ShapeError, "cumsum: axis -3"],
  [() => matrix.softmax(2), ShapeError, "softmax: axis 2"],
  [() => labels.logSoftmax(), DTypeError, "logSoftmax: x is int32"],
  // Linear algebra
  [() => matrix.matmul(matrix), ShapeError, "matmul: a [2, 3] has 3 columns, b [2, 3] has 2 rows"],
  [
    () => matrix.matmul(matrix, { transposeA: true, transposeB: true }),
    ShapeError,
    "matmul: a [2, 3] transposed has 2",
  ],
  [() => f(2).matmul(matrix), ShapeError, "matmul: a is [2], b [2, 3]; expected rank 2 or more"],
  [() => f(2, 2, 3).matmul(f(3, 3, 1)), ShapeError, "matmul: shapes [2] and [3] do not broadcast"],
  [() => matrix.matmul(double(2, 3)), DTypeError, "matmul: a is float32, b is float64"],
  [() => matrix.linear(f(3, 2)), ShapeError, "linear: x is [2, 3], weight [3, 2]"],
  [() => matrix.linear(matrix, f(3)), ShapeError, "linear: bias is [3], expected [2]"],
  // Movement
  [() => matrix.reshape([4]), ShapeError, "reshape: [2, 3] has 6 elements, [4] does not"],
  [() => matrix.reshape([-1, -1]), ShapeError, "reshape: [2, 3] has 6 elements, [-1, -1] does not"],
  [() => matrix.reshape([4, -1]), ShapeError, "reshape: [2, 3]"],
  [() => matrix.flatten(2), ShapeError, "flatten: axis 2"],
  [() => matrix.squeeze(0), ShapeError, "squeeze: axis 0 of [2, 3] has size 2, expected 1"],
  [() => matrix.unsqueeze(3), ShapeError, "unsqueeze: axis 3"],
  [() => matrix.permute([0, 0]), ShapeError, "permute: [0, 0] is no permutation"],
  [() => matrix.permute([0]), ShapeError, "permute: [0] is no permutation"],
  [() => matrix.transpose(0, 2), ShapeError, "transpose: axis 2"],
  [() => matrix.expand([2, 2]), ShapeError, "expand: [2, 3] does not broadcast to [2, 2]"],
  [() => matrix.expand([3]), ShapeError, "expand: [2, 3] does not broadcast to [3]"],
  [() => matrix.expand([-1, 3]), ShapeError, "expand: [-1, 3] is not a shape"],
  [() => matrix.slice({ begin: [0, 4] }), ShapeError, "slice: [4, 3) on axis 1 does not lie inside [0, 3)"],
  [() => matrix.slice({ end: [-3] }), ShapeError, "slice: [0, -1) on axis 0"],
  [() => matrix.slice({ step: [0] }), ShapeError, "slice: step 0 on axis 0"],
  [() => matrix.slice({ begin: [0, 0, 0] }), ShapeError, "slice: begin has 3 entries, x [2, 3] has rank 2"],
  [() => matrix.flip(2), ShapeError, "flip: axis 2"],
  [() => ops.concat([], 0), ArgumentError, "concat: expected at least one tensor"],
  [() => ops.concat([matrix, f(3, 2)], 0), ShapeError, "concat: tensor 1 is [3, 2], tensor 0 [2, 3]; only axis 0"],
  [() => ops.concat([matrix, double(2, 3)], 0), DTypeError, "concat: tensor 1 is float64, tensor 0 is float32"],
  [() => ops.stack([]), ArgumentError, "stack: expected at least one tensor"],
  [() => ops.stack([matrix, f(3, 2)]), ShapeError, "stack: tensor 1 is [3, 2], tensor 0 [2, 3]; expected the same"],
  [() => ops.stack([matrix], 3), ShapeError, "stack: axis 3"],
  [() => matrix.pad({ before: [1], after: [1, 1] }), ShapeError, "pad: before [1], after [1, 1]; expected 2"],
  [() => matrix.pad({ before: [-1, 0], after: [0, 0] }), ShapeError, "pad: before [-1, 0]"],
  [() => labels.pad({ before: [1], after: [0], value: 0.5 }), ArgumentError, "pad: 0.5 is no int32"],
  [() => f(2).pad2d([1, 1, 1, 1]), ShapeError, "pad2d: x is [2], expected rank 2 or more"],
  [
    () => matrix.pad2d([2, 0, 0, 0], { mode: "reflect" }),
    ShapeError,
    "pad2d: padding [2, 0, 0, 0] does not suit mode reflect",
  ],
  [() => matrix.pad2d([-1, 0, 0, 0], { mode: "replicate" }), ShapeError, "pad2d: padding [-1, 0, 0, 0]"],
  [() => matrix.pad2d([0, 0, 0, 0], { mode: "mirror" as never }), ArgumentError, "pad2d: mode is mirror"],
  [() => matrix.gather(0, matrix), DTypeError, "gather: index is float32, expected int32"],
  [
    () => matrix.gather(1, int(3, 3)),
    ShapeError,
    "gather: index is [3, 3], x [2, 3]; expected the same rank and no more",
  ],
  [() => matrix.gather(2, int(3, 3)), ShapeError, "gather: axis 2"],
  [() => matrix.indexSelect(0, int(3, 3)), ShapeError, "indexSelect: index is [3, 3], expected rank 1"],
  [() => matrix.indexSelect(0, f(2)), DTypeError, "indexSelect: index is float32"],
  [() => matrix.scatterAdd(0, int(1, 3), matrix), ShapeError, "scatterAdd: source is [2, 3], index [1, 3]"],
  [() => matrix.scatterAdd(0, int(2, 3), double(2, 3)), DTypeError, "scatterAdd: source is float64, x is float32"],
  [() => flags.scatterAdd(0, labels, flags), DTypeError, "scatterAdd: x is bool"],
  [() => remap({ x: image }), DTypeError, "remapLookUp: x is float32, expected uint8"],
  [() => remap({ rows: f(2, 3) }), DTypeError, "remapLookUp: rows is float32, expected int32"],
  [() => remap({ columns: byte(2, 3) }), DTypeError, "remapLookUp: columns is uint8, expected int32"],
  [() => remap({ table: int(1, 3, 256) }), DTypeError, "remapLookUp: table is int32, expected float32 or"],
  [() => remap({ x: byte(3, 4, 5) }), ShapeError, "remapLookUp: x is [3, 4, 5], expected [N, C, H, W]"],
  [() => remap({ rows: int(3, 2) }), ShapeError, "remapLookUp: rows is [3, 2], expected [2, …] for 2 images"],
  [() => remap({ columns: int(5) }), ShapeError, "remapLookUp: columns is [5], expected [2, …] for 2 images"],
  [
    () => remap({ table: f(3, 256) }),
    ShapeError,
    "remapLookUp: table is [3, 256], expected [2, 3, 256] or [1, 3, 256]",
  ],
  [() => remap({ table: f(3, 3, 256) }), ShapeError, "remapLookUp: table is [3, 3, 256], expected [2, 3, 256] or"],
  [() => remap({ table: f(1, 3, 255) }), ShapeError, "remapLookUp: table is [1, 3, 255], expected [2, 3, 256] or"],
  [() => remap({ x: byte(2, 3, 0, 5) }), IndexError, "remapLookUp: x of shape [2, 3, 0, 5] has no elements to index"],
  [() => labels.oneHot(0), ArgumentError, "oneHot: classes is 0, expected a positive integer"],
  [() => f(2).oneHot(3), DTypeError, "oneHot: labels is float32, expected int32"],
  [() => labels.oneHot(3, "bool"), DTypeError, "oneHot: dtype is bool"],
  // Convolutions
  [
    () => image.conv2d(f(4, 2, 3, 3)),
    ShapeError,
    "conv2d: x [1, 4, 5, 5] has 4 channels; weight [4, 2, 3, 3] in 1 groups expects 2",
  ],
  [() => image.conv2d(f(3, 2, 3, 3), { groups: 2 }), ShapeError, "and 3 outputs divisible by the groups"],
  [() => image.conv2d(f(4, 2, 3, 3), { groups: 0 }), ArgumentError, "conv2d: groups is 0, expected a positive integer"],
  [
    () => image.conv2d(f(4, 2, 3, 3), { groups: 2, stride: 0 }),
    ArgumentError,
    "conv2d: stride is 0, expected integers of at least 1",
  ],
  [() => image.conv2d(f(4, 2, 3, 3), { groups: 2, padding: [1, -1] }), ArgumentError, "conv2d: padding is [1,-1]"],
  [
    () => image.conv2d(f(4, 2, 3, 3), { groups: 2, padding: [1, 1, 1] as never }),
    ArgumentError,
    "conv2d: padding has 3 entries",
  ],
  [
    () => image.conv2d(f(4, 2, 3, 3), { groups: 2, dilation: [1, 1, 1] as never }),
    ArgumentError,
    "conv2d: dilation has 3 entries",
  ],
  [
    () => image.conv2d(f(4, 2, 3, 3), { groups: 2, dilation: 3 }),
    ShapeError,
    "conv2d: kernel [3, 3] with dilation [3, 3] is larger than the image [5, 5]",
  ],
  [() => image.conv2d(f(4, 2, 3, 3), { groups: 2, bias: f(3) }), ShapeError, "conv2d: bias is [3], expected [4]"],
  [() => image.conv2d(matrix), ShapeError, "conv2d: x is [1, 4, 5, 5], weight [2, 3]; expected both of rank 4"],
  [() => image.conv2d(f(0, 4, 3, 3)), ShapeError, "weight not empty"],
  [() => image.conv2d(int(4, 4, 3, 3)), DTypeError, "conv2d: weight is int32, x is float32"],
  [
    () => image.convTranspose2d(f(3, 1, 2, 2)),
    ShapeError,
    "convTranspose2d: x [1, 4, 5, 5] has 4 channels; weight [3, 1, 2, 2]",
  ],
  [
    () => image.convTranspose2d(f(4, 2, 3, 3), { outputPadding: 1 }),
    ArgumentError,
    "convTranspose2d: outputPadding is [1, 1], expected below 1",
  ],
  [
    () => f(1, 1, 2, 2).convTranspose2d(f(1, 1, 2, 2), { padding: 2 }),
    ShapeError,
    "convTranspose2d: x [1, 1, 2, 2] with padding",
  ],
  [
    () => f(1, 1, 2, 3).locallyConnected2d(f(3, 2, 1, 1, 1, 1)),
    ShapeError,
    "locallyConnected2d: x [1, 1, 2, 3] has [2, 3] positions, weight [3, 2, 1, 1, 1, 1] has [3, 2]",
  ],
  [
    () => f(1, 1, 2, 3).locallyConnected2d(f(4, 2, 3, 3)),
    ShapeError,
    "locallyConnected2d: x is [1, 1, 2, 3], weight [4, 2, 3, 3]",
  ],
  [
    () => f(1, 1, 2, 3).locallyConnected2d(f(2, 3, 1, 1, 1, 1), { bias: f(2) }),
    ShapeError,
    "locallyConnected2d: bias is [2], expected [1, 2, 3]",
  ],
  [() => f(1, 1, 2, 3).locallyConnected2d(int(2, 3, 1, 1, 1, 1)), DTypeError, "locallyConnected2d: weight is int32"],
  [() => matrix.unfold2d({ kernel: 2 }), ShapeError, "unfold2d: x is [2, 3], expected [N, C, H, W]"],
  [() => image.unfold2d({ kernel: 6 }), ShapeError, "unfold2d: kernel [6, 6]"],
  [() => image.unfold2d({ kernel: 1.5 }), ArgumentError, "unfold2d: kernel is 1.5"],
  [
    () => f(1, 8, 3).fold2d({ kernel: 2, imageSize: [3, 3] }),
    ShapeError,
    "fold2d: x is [1, 8, 3], expected [N, C * 4, 4]",
  ],
  // Pools
  [() => matrix.maxPool2d({ kernel: 2 }), ShapeError, "maxPool2d: x is [2, 3]"],
  [() => int(1, 1, 2, 2).maxPool2d({ kernel: 2 }), DTypeError, "maxPool2d: x is int32"],
  [
    () => image.maxPool2d({ kernel: 2, padding: 2 }),
    ArgumentError,
    "maxPool2d: padding [2, 2, 2, 2] leaves windows without image",
  ],
  [() => image.maxPool2d({ kernel: 0 }), ArgumentError, "maxPool2d: kernel is 0"],
  [
    () => f(1, 1, 1, 1).avgPool2d({ kernel: 2, dilation: 4, padding: 3 }),
    ShapeError,
    "avgPool2d: with padding [3, 3, 3, 3] and dilation [4, 4] a window steps over",
  ],
  [() => image.avgPool2d({ kernel: 7 }), ShapeError, "avgPool2d: kernel [7, 7]"],
  [() => image.adaptiveAvgPool2d(0), ArgumentError, "adaptiveAvgPool2d: outputSize is 0"],
  [() => matrix.adaptiveMaxPool2d(1), ShapeError, "adaptiveMaxPool2d: x is [2, 3]"],
  [
    () => f(1, 1, 2, 2).maxUnpool2d(int(1, 1, 2, 3), { outputSize: [4, 4] }),
    ShapeError,
    "maxUnpool2d: x is [1, 1, 2, 2], indices [1, 1, 2, 3]",
  ],
  [
    () => f(1, 1, 2, 2).maxUnpool2d(f(1, 1, 2, 2), { outputSize: [4, 4] }),
    DTypeError,
    "maxUnpool2d: indices is float32",
  ],
  [() => image.upsample2d({ scale: 1.5 }), ArgumentError, "upsample2d: scale is 1.5"],
  [() => image.upsample2d({ scale: 2, mode: "cubic" as never }), ArgumentError, "upsample2d: mode is cubic"],
  // Norms
  [() => f(2).batchNorm({ training: true }), ShapeError, "batchNorm: x is [2], expected [N, C, ...]"],
  [
    () => f(1, 2).batchNorm({ training: true }),
    ShapeError,
    "batchNorm: x [1, 2] has 1 elements a channel, training needs at least 2",
  ],
  [
    () => matrix.batchNorm({ training: false, runningMean: f(3) }),
    ArgumentError,
    "batchNorm: evaluation needs runningMean and runningVar",
  ],
  [() => matrix.batchNorm({ training: true, weight: f(2) }), ShapeError, "batchNorm: weight is [2], expected [3]"],
  [
    () => matrix.batchNorm({ training: true, runningVar: int(3) }),
    DTypeError,
    "batchNorm: runningVar is int32, x is float32",
  ],
  [() => matrix.layerNorm({ normalizedShape: [2] }), ShapeError, "layerNorm: x is [2, 3], expected it to end in [2]"],
  [() => matrix.layerNorm({ bias: f(2) }), ShapeError, "layerNorm: bias is [2], expected [3]"],
  [() => matrix.groupNorm({ groups: 2 }), ArgumentError, "groupNorm: groups is 2, expected a divisor of 3 channels"],
  [() => image.localResponseNorm({ size: 0 }), ArgumentError, "localResponseNorm: size is 0"],
  [
    () => matrix.maxout({ pieces: 2 }),
    ArgumentError,
    "maxout: pieces is 2, expected a divisor of the 3 elements of axis 1",
  ],
  // Losses
  [() => ops.crossEntropy(matrix, f(2)), DTypeError, "crossEntropy: labels is float32, expected int32"],
  [() => ops.crossEntropy(matrix, int(3)), ShapeError, "crossEntropy: logits are [2, 3], labels [3]"],
  [() => ops.crossEntropy(matrix, f(3, 2)), ShapeError, "labels [3, 2]; expected [N, C, ...] and probabilities"],
  [() => ops.crossEntropy(matrix, int(2, 3)), ShapeError, "labels [2, 3]; expected [N, C, ...] and [N, ...]"],
  [() => ops.crossEntropy(matrix, double(2, 3)), DTypeError, "crossEntropy: labels is float64, expected float32"],
  [() => ops.crossEntropy(matrix, labels, { labelSmoothing: 1 }), ArgumentError, "crossEntropy: labelSmoothing is 1"],
  [
    () => ops.crossEntropy(matrix, labels, { reduction: "max" as never }),
    ArgumentError,
    "crossEntropy: reduction is max, expected mean, sum, none",
  ],
  [() => ops.mseLoss(matrix, f(3, 2)), ShapeError, "mseLoss: x is [2, 3], target [3, 2]"],
  [() => ops.l1Loss(matrix, double(2, 3)), DTypeError, "l1Loss: x is float32, target float64"],
  [() => ops.smoothL1Loss(matrix, matrix, { beta: 0 }), ArgumentError, "smoothL1Loss: beta is 0, expected above 0"],
  [() => ops.bceWithLogits(labels, labels), DTypeError, "bceWithLogits: x is int32"],
];

describe("wrong arguments", () => {
  test.each(rows.map(([call, type, message]) => ({ call, type, message })))("$message", ({ call, type, message }) => {
    expect(call).toThrow(type as unknown as typeof Error);
    // The tensors are there now: what the second call makes, it leaks.
    const [before, { tensors }] = [kernels, memoryUsage(backend)];
    expect(call).toThrow(message);
    expect(kernels - before).toBe(0);
    expect(memoryUsage(backend).tensors).toBe(tensors);
  });

  test("indices outside their axis are an error, never clamped", () => {
    const outside = (value: number, shape: Shape): Tensor => ops.full(shape, value, { backend, dtype: "int32" });
    for (const value of [-1, 3, 2 ** 31 - 1]) {
      expect(() => matrix.gather(1, outside(value, [2, 1]))).toThrow(IndexError);
      expect(() => matrix.indexSelect(1, outside(value, [2]))).toThrow(IndexError);
      expect(() => matrix.scatterAdd(1, outside(value, [2, 1]), f(2, 1))).toThrow(IndexError);
      expect(() => outside(value, [2]).oneHot(3)).toThrow(IndexError);
      expect(() => ops.crossEntropy(matrix, outside(value, [2]))).toThrow(IndexError);
    }
    for (const value of [-2, 5, 2 ** 31 - 1]) {
      expect(() => remap({ rows: outside(value, [2, 1]) })).toThrow(IndexError);
      expect(() => remap({ columns: outside(value, [2, 1]) })).toThrow(IndexError);
    }
    expect(() => f(1, 1, 2, 2).maxUnpool2d(outside(16, [1, 1, 2, 2]), { outputSize: [4, 4] })).toThrow(IndexError);
  });
});
