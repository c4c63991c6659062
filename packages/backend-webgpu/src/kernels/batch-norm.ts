import { around, sizeOf } from "@striate/core/backend";
import { floatBits, type Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { f32, reads, u32, writes } from "../wgsl/shader.js";
import { moments, partsFor, reductionOf, treeOf } from "./reduce.js";
import { type GpuKernels, groupsFor } from "./types.js";

const THREADS = 256;

/** Elements of a channel up to which one workgroup does all of it, in one dispatch. */
const SMALL = 16_384;

/** Element `e` of channel `c`, for the loops of one thread. */
const each = (body: string): string => `for (var e = thread; e < p.count; e += ${THREADS}u) {
  let at = (e / p.inner * p.channels + c) * p.inner + e % p.inner;
  ${body}
}`;

const smallParams = [...u32("channels", "inner", "count"), ...f32("eps")];

export const batchNormKernels = (stream: Stream): Pick<GpuKernels, "batchNorm" | "batchNormGrad"> => ({
  batchNorm: {
    run: ({ inputs: [x, weight, bias], outputs: [y, mean, variance], attrs: { eps } }) => {
      const channels = around(x.shape, 1);
      const size = sizeOf(x.shape);
      const count = size / channels.extent;
      if (count <= SMALL) {
        stream.dispatch({
          program: {
            label: "batchNorm",
            key: "batchNorm-small",
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
${each("y[at] = ((x[at] - first) - distance) * scale + start;")}`,
            }),
          },
          inputs: [x.storage, weight.storage, bias.storage],
          outputs: [y.storage, mean.storage, variance.storage],
          params: [channels.extent, channels.inner, count, floatBits(eps)],
          groups: channels.extent,
        });
        return;
      }
      const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
      moments(stream, "batchNorm", x.storage, reductionOf(x.shape, others), mean.storage, variance.storage);
      stream.dispatch({
        program: {
          label: "batchNorm",
          key: "batchNorm",
          shader: () => ({
            bindings: [
              ...["x", "weight", "bias", "mean", "variance"].map((name) => reads(name, "f32")),
              writes("y", "f32"),
            ],
            params: [...u32("count", "channels", "inner"), ...f32("eps")],
            threads: 64,
            body: `
let i = group * 64u + thread;
if (i >= p.count) { return; }
let c = i / p.inner % p.channels;
y[i] = (x[i] - mean[c]) * (weight[c] / sqrt(variance[c] + p.eps)) + bias[c];`,
          }),
        },
        inputs: [x.storage, weight.storage, bias.storage, mean.storage, variance.storage],
        outputs: [y.storage],
        params: [size, channels.extent, channels.inner, floatBits(eps)],
        groups: groupsFor(size, 64),
      });
    },
  },

  // gx = w/σ · (gy - mean(gy) - x̂ · mean(gy · x̂)) with x̂ = (x - mean)/σ.
  batchNormGrad: {
    run: ({ inputs: [x, weight, mean, variance, gy], outputs: [gx, gweight, gbias], attrs: { eps } }) => {
      const { outer: batch, extent: channels, inner } = around(x.shape, 1);
      const size = sizeOf(x.shape);
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
          params: [channels, inner, count, floatBits(eps)],
          groups: channels,
        });
        return;
      }
      const chunk = Math.ceil(count / partsFor(channels, count, 4096));
      const parts = Math.ceil(count / chunk);
      const partial = parts > 1 ? stream.scratch(channels * parts * 8) : null;
      const finish = "gweight[c] = product / sqrt(variance[c] + p.eps); gbias[c] = sum;";
      stream.dispatch({
        program: {
          label: "batchNormGrad",
          key: `batchNormGrad-sums/${parts > 1}`,
          shader: () => ({
            bindings: [
              ...["x", "gy", "mean", "variance"].map((name) => reads(name, "f32")),
              ...(partial ? ["partial"] : ["gweight", "gbias"]).map((name) => writes(name, "f32")),
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
  ${
    partial
      ? `partial[2u * group] = all.x; partial[2u * group + 1u] = all.y * (1.0 / sqrt(variance[c] + p.eps));`
      : `let sum = all.x; let product = all.y; ${finish}`
  }
}`,
          }),
        },
        inputs: [x.storage, gy.storage, mean.storage, variance.storage],
        outputs: partial ? [partial] : [gweight.storage, gbias.storage],
        params: [channels, inner, count, chunk, parts, floatBits(eps)],
        groups: channels * parts,
      });
      if (partial) {
        stream.dispatch({
          program: {
            label: "batchNormGrad",
            key: "batchNormGrad-merge",
            shader: () => ({
              bindings: [reads("partial", "f32"), writes("gweight", "f32"), writes("gbias", "f32")],
              params: u32("channels", "parts"),
              threads: 64,
              body: `
let c = group * 64u + thread;
if (c >= p.channels) { return; }
var sums = vec2f(0.0);
for (var part = 0u; part < p.parts; part++) {
  let at = 2u * (c * p.parts + part);
  sums += vec2f(partial[at], partial[at + 1u]);
}
gbias[c] = sums.x;
gweight[c] = sums.y;`,
            }),
          },
          inputs: [partial],
          outputs: [gweight.storage, gbias.storage],
          params: [channels, parts],
          groups: groupsFor(channels, 64),
        });
        stream.release(partial);
      }
      stream.dispatch({
        program: {
          label: "batchNormGrad",
          key: "batchNormGrad",
          shader: () => ({
            bindings: [
              ...["x", "weight", "mean", "variance", "gy", "gweight", "gbias"].map((name) => reads(name, "f32")),
              writes("gx", "f32"),
            ],
            params: [...u32("size", "channels", "inner"), ...f32("share", "eps")],
            threads: 64,
            body: `
let i = group * 64u + thread;
if (i >= p.size) { return; }
let c = i / p.inner % p.channels;
let inverse = 1.0 / sqrt(variance[c] + p.eps);
let normalized = (x[i] - mean[c]) * inverse;
gx[i] = weight[c] * inverse * (gy[i] - gbias[c] * p.share - normalized * (gweight[c] * p.share));`,
          }),
        },
        inputs: [x, weight, mean, variance, gy, gweight, gbias].map(({ storage }) => storage),
        outputs: [gx.storage],
        params: [size, channels, inner, floatBits(1 / count), floatBits(eps)],
        groups: groupsFor(size, 64),
      });
    },
  },
});
