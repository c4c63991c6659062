import { mergeAxes, rowMajorStrides, type Shape, sizeOf } from "@striate/core/backend";
import { nestOffsets, nestParams, nestWords } from "../nest.js";
import type { Stream } from "../stream.js";
import { i32, reads, u32, writes } from "../wgsl/shader.js";
import { type GpuKernels, groupsFor, scalarType } from "./types.js";

const THREADS = 64;

/** Declaration of `reportIndex`: the first thread to find an index outside its axis leaves word of it. */
export const reportIndex = `
fn reportIndex(position: u32, value: i32) {
  loop {
    let claim = atomicCompareExchangeWeak(&check[0], 0u, p.check);
    if (claim.exchanged) {
      atomicStore(&check[1], position);
      atomicStore(&check[2], bitcast<u32>(value));
    }
    // A weak exchange may fail for no reason.
    if (claim.exchanged || claim.old_value != 0u) { break; }
  }
}`;

/** Row-major strides of `shape` with 0 along `axis`, as loops over an index of another extent there need them. */
const stridesBut = (shape: Shape, axis: number): number[] => rowMajorStrides(shape).map((s, i) => (i === axis ? 0 : s));

export const gatherKernels = (stream: Stream): Pick<GpuKernels, "gather" | "scatterAdd"> => ({
  gather: ({ inputs: [x, index], outputs: [y], attrs: { axis } }) => {
    const extent = x.shape[axis] as number;
    const nest = mergeAxes(y.shape, [stridesBut(x.shape, axis), rowMajorStrides(y.shape)]);
    const rank = nest.shape.length;
    const size = sizeOf(y.shape);
    const check = stream.indexCheck({ what: "gather: index", extent, where: `on axis ${axis}` });
    stream.dispatch({
      program: {
        label: "gather",
        key: `gather/rank${rank}`,
        shader: () => ({
          bindings: [reads("x", "u32"), reads("index", "i32"), writes("check", "atomic<u32>"), writes("y", "u32")],
          params: [...u32("count", "check"), ...i32("extent", "step"), ...nestParams(rank, 1)],
          threads: THREADS,
          declarations: reportIndex,
          body: `
let i = group * ${THREADS}u + thread;
if (i >= p.count) { return; }
let chosen = index[i];
if (chosen < 0 || chosen >= p.extent) {
  reportIndex(i, chosen);
  y[i] = 0u;
  return;
}
${nestOffsets(rank, ["0"], "i")}
y[i] = x[at0 + chosen * p.step];`,
        }),
      },
      inputs: [x.storage, index.storage],
      outputs: [check.storage, y.storage],
      params: [
        size,
        check.id,
        extent,
        rowMajorStrides(x.shape)[axis] as number,
        ...nestWords({ shape: nest.shape, strides: nest.strides.slice(0, 1) }),
      ],
      groups: groupsFor(size, THREADS),
    });
  },

  // Without float atomics, and always in the same order: each element of the output looks for its own among the indices
  // along its line.
  scatterAdd: ({ inputs: [x, index, source], outputs: [y], attrs: { axis } }) => {
    const type = scalarType(x.dtype);
    const rank = x.shape.length;
    const extent = x.shape[axis] as number;
    const size = sizeOf(y.shape);
    const entries = sizeOf(index.shape);
    const strides = rowMajorStrides(index.shape);
    const byte = x.dtype === "uint8";
    const check = stream.indexCheck({ what: "scatterAdd: index", extent, where: `on axis ${axis}` });
    stream.dispatch({
      program: {
        label: "scatterAdd",
        key: `scatterAdd/rank${rank}/axis${axis}/${type}${byte ? "/byte" : ""}`,
        shader: () => ({
          bindings: [
            reads("x", type),
            reads("index", "i32"),
            reads("source", type),
            writes("check", "atomic<u32>"),
            writes("y", type),
          ],
          params: [
            ...u32("count", "check", "entries"),
            ...i32("extent", "step", ...Array.from({ length: rank }, (_, k) => `limit${k}`)),
            ...nestParams(rank, 1),
          ],
          threads: THREADS,
          declarations: reportIndex,
          body: `
let i = group * ${THREADS}u + thread;
// Every index is looked at once, whether or not a line of the output meets it.
for (var e = i; e < p.entries; e += workgroups.x * workgroups.y * ${THREADS}u) {
  if (index[e] < 0 || index[e] >= p.extent) { reportIndex(e, index[e]); }
}
if (i >= p.count) { return; }
${nestOffsets(rank, ["0"], "i")}
var total = x[i];
let within = ${Array.from({ length: rank }, (_, k) => (k === axis ? "true" : `c${k} < p.limit${k}`)).join(" && ")};
if (within) {
  for (var e = 0; e < p.limit${axis}; e++) {
    if (index[at0 + e * p.step] == c${axis}) { total += source[at0 + e * p.step]; }
  }
}
y[i] = total${byte ? " & 255" : ""};`,
        }),
      },
      inputs: [x.storage, index.storage, source.storage],
      outputs: [check.storage, y.storage],
      params: [
        size,
        check.id,
        entries,
        extent,
        strides[axis] as number,
        ...index.shape,
        ...nestWords({ shape: x.shape, strides: [stridesBut(index.shape, axis)] }),
      ],
      groups: groupsFor(size, THREADS),
    });
  },
});
