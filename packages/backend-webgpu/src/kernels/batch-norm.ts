import { around, type Call, sizeOf } from "@striate/core/backend";
import { floatBits, type GpuStorage, type Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { f32, reads, u32, writes } from "../wgsl/shader.js";
import { type Pointwise, pointwise } from "./pointwise.js";
import { mergeParts, momentParts, partsFor, reductionOf, treeOf } from "./reduce.js";
import type { GpuKernels } from "./types.js";

const THREADS = 256;

/** Elements of a channel up to which one workgroup does all of it, in one dispatch. */
const SMALL = 16_384;

/** Element `e` of channel `c`, for the loops of one thread. */
const each = (body: string): string => `for (var e = thread; e < p.count; e += ${THREADS}u) {
  let at = (e / p.inner * p.channels + c) * p.inner + e % p.inner;
  ${body}
}`;

/** Elements of a channel that one workgroup of a second pass takes. */
const SLICE = 4096;

/** As `each`, for the elements of slice `group % p.slices` of channel `c`. */
const eachOfSlice = (body: string): string => `
let begin = group % p.slices * ${SLICE}u;
for (var e = begin + thread; e < min(begin + ${SLICE}u, p.count); e += ${THREADS}u) {
  let at = (e / p.inner * p.channels + c) * p.inner + e % p.inner;
  ${body}
}`;

const smallParams = [...u32("channels", "inner", "count"), ...f32("eps")];

type ForwardCall = Omit<Call<"batchNorm", GpuStorage>, "op">;

const forward = (stream: Stream, op: "batchNorm" | "batchNormRelu") => {
  const result = (y: string): string => (op === "batchNorm" ? y : `relu(${y})`);
  return {
    run: ({ inputs: [x, weight, bias], outputs: [y, mean, variance], attrs: { eps } }: ForwardCall): void => {
      const channels = around(x.shape, 1);
      const size = sizeOf(x.shape);
      const count = size / channels.extent;
      if (count <= SMALL) {
        stream.dispatch({
          program: {
            label: op,
            key: `${op}-small`,
            shader: () => ({
              bindings: [
                ...["x", "weight", "bias"].map((name) => reads(name, "f32")),
                ...["y", "mean", "variance"].map((name) => writes(name, "f32")),
              ],
              params: smallParams,
              threads: THREADS,
              declarations: `${mathFor("relu(")}${treeOf("total", "f32", THREADS, "a + b")}`,
              body: `
let c = group;
if (c >= p.channels) { return; }
// Sums of distances from one of the elements: large means do not cost digits.
let shift = x[c * p.inner];
var sum = 0.0;
${each("sum += x[at] - shift;")}
let n = f32(p.count);
let first = shift + total(thread, sum) / n;
var squares = 0.0;
var rest = 0.0;
${each("let d = x[at] - first; squares += d * d; rest += d;")}
let distance = total(thread, rest) / n;
let spread = relu(total(thread, squares) / n - distance * distance);
if (thread == 0u) {
  mean[c] = first + distance;
  variance[c] = spread;
}
let scale = weight[c] / sqrt(spread + p.eps);
let start = bias[c];
// The mean in two parts: rounded to one, it would be off by much of what nearly constant channels vary.
${each(`y[at] = ${result("((x[at] - first) - distance) * scale + start")};`)}`,
            }),
          },
          inputs: [x.storage, weight.storage, bias.storage],
          outputs: [y.storage, mean.storage, variance.storage],
          shared: [mean.storage, variance.storage],
          params: [channels.extent, channels.inner, count, floatBits(eps)],
          groups: channels.extent,
        });
        return;
      }
      const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
      const { partial, parts, chunk } = momentParts(stream, op, x.storage, reductionOf(x.shape, others));
      const slices = Math.ceil(count / SLICE);
      stream.dispatch({
        program: {
          label: op,
          key: op,
          shader: () => ({
            bindings: [
              ...["x", "weight", "bias", "partial"].map((name) => reads(name, "f32")),
              ...["y", "mean", "variance"].map((name) => writes(name, "f32")),
            ],
            params: [...u32("channels", "inner", "count", "parts", "chunk", "slices"), ...f32("eps")],
            threads: THREADS,
            declarations: `${mergeParts}${op === "batchNorm" ? "" : mathFor("relu(")}`,
            body: `
let c = group / p.slices;
if (c >= p.channels) { return; }
// Every workgroup merges the parts of its channel: cheaper than a dispatch between.
let found = mergeParts(c);
let spread = found.z / found.x;
if (thread == 0u && group % p.slices == 0u) {
  mean[c] = found.y;
  variance[c] = spread;
}
let scale = weight[c] / sqrt(spread + p.eps);
let start = bias[c];
${eachOfSlice(`y[at] = ${result("(x[at] - found.y) * scale + start")};`)}`,
          }),
        },
        inputs: [x.storage, weight.storage, bias.storage, partial],
        outputs: [y.storage, mean.storage, variance.storage],
        shared: [mean.storage, variance.storage],
        params: [channels.extent, channels.inner, count, parts, chunk, slices, floatBits(eps)],
        groups: channels.extent * slices,
      });
      stream.release(partial);
    },
  };
};

export const batchNormKernels = (
  stream: Stream,
): Pick<GpuKernels, "batchNorm" | "batchNormRelu" | "batchNormInference" | "batchNormGrad"> => ({
  batchNorm: forward(stream, "batchNorm"),
  batchNormRelu: forward(stream, "batchNormRelu"),

  batchNormInference: {
    run: ({ inputs: [x, ...coefficients], outputs: [y], attrs: { eps, relu } }) => {
      const shape = x.shape.map((n, axis) => (axis === 1 ? n : 1));
      const value = "multiply(x0 - x1, multiply(rsqrtOf(x2 + p.eps), x3)) + x4";
      const call: Pointwise = {
        op: "batchNormInference",
        variant: relu ? "relu" : "",
        value: relu ? `relu(${value})` : value,
        params: f32("eps"),
        words: [floatBits(eps)],
      };
      pointwise(stream, call, [x, ...coefficients.map((c) => ({ ...c, shape }))], y);
    },
  },

  // gx = w/σ · (gy - mean(gy) - x̂ · mean(gy · x̂)) with x̂ = (x - mean)/σ.
  batchNormGrad: {
    run: ({ inputs: [x, weight, mean, variance, gy], outputs: [gx, gweight, gbias], attrs: { eps } }) => {
      const { outer: batch, extent: channels, inner } = around(x.shape, 1);
      const count = batch * inner;
      if (count <= SMALL) {
        stream.dispatch({
          program: {
            label: "batchNormGrad",
            key: "batchNormGrad-small",
            shader: () => ({
              bindings: [
                ...["x", "weight", "mean", "variance", "gy"].map((name) => reads(name, "f32")),
                ...["gx", "gweight", "gbias"].map((name) => writes(name, "f32")),
              ],
              params: smallParams,
              threads: THREADS,
              declarations: treeOf("total", "vec2f", THREADS, "a + b"),
              body: `
let c = group;
if (c >= p.channels) { return; }
let centre = mean[c];
let inverse = 1.0 / sqrt(variance[c] + p.eps);
var sums = vec2f(0.0);
${each("sums += vec2f(gy[at], gy[at] * (x[at] - centre));")}
let all = total(thread, sums);
if (thread == 0u) {
  gbias[c] = all.x;
  gweight[c] = all.y * inverse;
}
let scale = weight[c] * inverse;
let offset = all.x / f32(p.count);
let slope = all.y / f32(p.count) * inverse * inverse;
${each("gx[at] = scale * (gy[at] - offset - (x[at] - centre) * slope);")}`,
            }),
          },
          inputs: [x.storage, weight.storage, mean.storage, variance.storage, gy.storage],
          outputs: [gx.storage, gweight.storage, gbias.storage],
          shared: [gweight.storage, gbias.storage],
          params: [channels, inner, count, floatBits(eps)],
          groups: channels,
        });
        return;
      }
      const chunk = Math.ceil(count / partsFor(channels, count, 4096));
      const parts = Math.ceil(count / chunk);
      const slices = Math.ceil(count / SLICE);
      // Pairs [channel, part] of sums, then [channel] of mean and 1/σ: the second pass could not bind these as well.
      const partial = stream.scratch(channels * (parts + 1) * 8);
      stream.dispatch({
        program: {
          label: "batchNormGrad",
          key: "batchNormGrad-sums",
          shader: () => ({
            bindings: [
              ...["x", "gy", "mean", "variance"].map((name) => reads(name, "f32")),
              writes("partial", "vec2<f32>"),
            ],
            params: [...u32("channels", "inner", "count", "chunk", "parts"), ...f32("eps")],
            threads: THREADS,
            declarations: treeOf("total", "vec2f", THREADS, "a + b"),
            body: `
if (group >= p.channels * p.parts) { return; }
let c = group / p.parts;
let begin = group % p.parts * p.chunk;
let end = min(begin + p.chunk, p.count);
let centre = mean[c];
var sums = vec2f(0.0);
for (var e = begin + thread; e < end; e += ${THREADS}u) {
  let at = (e / p.inner * p.channels + c) * p.inner + e % p.inner;
  sums += vec2f(gy[at], gy[at] * (x[at] - centre));
}
let all = total(thread, sums);
if (thread == 0u) {
  let inverse = 1.0 / sqrt(variance[c] + p.eps);
  partial[group] = vec2f(all.x, all.y * inverse);
  if (group % p.parts == 0u) { partial[p.channels * p.parts + c] = vec2f(centre, inverse); }
}`,
          }),
        },
        inputs: [x.storage, gy.storage, mean.storage, variance.storage],
        outputs: [partial],
        params: [channels, inner, count, chunk, parts, floatBits(eps)],
        groups: channels * parts,
      });
      stream.dispatch({
        program: {
          label: "batchNormGrad",
          key: "batchNormGrad",
          shader: () => ({
            bindings: [
              ...["x", "weight", "gy"].map((name) => reads(name, "f32")),
              reads("partial", "vec2<f32>"),
              ...["gx", "gweight", "gbias"].map((name) => writes(name, "f32")),
            ],
            params: [...u32("channels", "inner", "count", "parts", "slices"), ...f32("share")],
            threads: THREADS,
            body: `
let c = group / p.slices;
if (c >= p.channels) { return; }
var sums = vec2f(0.0);
for (var part = 0u; part < p.parts; part++) { sums += partial[c * p.parts + part]; }
if (thread == 0u && group % p.slices == 0u) {
  gbias[c] = sums.x;
  gweight[c] = sums.y;
}
let centre = partial[p.channels * p.parts + c].x;
let inverse = partial[p.channels * p.parts + c].y;
let scale = weight[c] * inverse;
let offset = sums.x * p.share;
let slope = sums.y * p.share * inverse;
${eachOfSlice("gx[at] = scale * (gy[at] - offset - (x[at] - centre) * slope);")}`,
          }),
        },
        inputs: [x.storage, weight.storage, gy.storage, partial],
        outputs: [gx.storage, gweight.storage, gbias.storage],
        shared: [gweight.storage, gbias.storage],
        params: [channels, inner, count, parts, slices, floatBits(1 / count)],
        groups: channels * slices,
      });
      stream.release(partial);
    },
  },
});
