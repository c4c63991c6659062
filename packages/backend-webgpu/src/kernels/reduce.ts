/**
 * Reductions over any axes. Where the reduced elements are neighbours (or there are few outputs) a workgroup works on an
 * output, else a thread does, and its neighbours read neighbours. Long ones are split; a second pass adds up the parts,
 * always in the same order.
 */
import { mergeAxes, type Nest, rowMajorStrides, type Shape } from "@striate/core/backend";
import { nestOffsets, nestParams, nestWords } from "../nest.js";
import type { GpuStorage, Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { reads, type Shader, u32, writes } from "../wgsl/shader.js";
import { type GpuKernels, groupsFor, scalarType } from "./types.js";

/** An array's axes, told apart: offsets of the outputs, and of the elements that each of them takes in. */
export interface Reduction {
  readonly kept: Nest;
  readonly reduced: Nest;
  readonly outputs: number;
  readonly count: number;
}

export const reductionOf = (shape: Shape, axes: readonly number[]): Reduction => {
  const strides = rowMajorStrides(shape);
  const pick = (wanted: (axis: number) => boolean): Nest => {
    const chosen = shape.map((_, axis) => axis).filter(wanted);
    return mergeAxes(
      chosen.map((axis) => shape[axis] as number),
      [chosen.map((axis) => strides[axis] as number)],
    );
  };
  const kept = pick((axis) => !axes.includes(axis));
  const reduced = pick((axis) => axes.includes(axis));
  const size = (nest: Nest): number => nest.shape.reduce((a, b) => a * b, 1);
  return { kept, reduced, outputs: size(kept), count: size(reduced) };
};

/** Number of parts a reduction is cut into: enough workgroups to fill a device, each with enough to do. */
export const partsFor = (workgroups: number, count: number, leastCount: number): number =>
  Math.max(1, Math.min(Math.ceil(512 / workgroups), Math.floor(count / leastCount), 256));

const combine = {
  f32: { sum: "a + b", max: "greater(a, b)", min: "lesser(a, b)" },
  i32: { sum: "a + b", max: "max(a, b)", min: "min(a, b)" },
} as const;

type Kind = "sum" | "max" | "min";

/** `combined`, over the threads of a workgroup: a tree in workgroup memory. */
export const treeOf = (name: string, type: string, threads: number, operation: string): string => `
var<workgroup> ${name}Parts: array<${type}, ${threads}>;
fn ${name}Combine(a: ${type}, b: ${type}) -> ${type} { return ${operation}; }
fn ${name}(thread: u32, value: ${type}) -> ${type} {
  ${name}Parts[thread] = value;
  workgroupBarrier();
  for (var half = ${threads / 2}u; half > 0u; half >>= 1u) {
    if (thread < half) { ${name}Parts[thread] = ${name}Combine(${name}Parts[thread], ${name}Parts[thread + half]); }
    workgroupBarrier();
  }
  let result = workgroupUniformLoad(&${name}Parts[0]);
  return result;
}`;

/** Loop head: element e of this part, from `first` on in steps; offsets as the nests say. */
const partShader = (
  kind: Kind,
  type: "f32" | "i32",
  byte: boolean,
  ranks: readonly [number, number],
  threads: number,
  byWorkgroup: boolean,
): Shader => {
  const operation = combine[type][kind];
  const mask = byte ? " & 255" : "";
  const start = kind === "sum" ? (type === "f32" ? "0.0" : "0") : "first";
  const output = byWorkgroup ? "group" : `(group * ${threads}u + thread)`;
  const declarations = byWorkgroup
    ? `${mathFor(operation)}\n${treeOf("combined", type, threads, operation)}`
    : `${mathFor(operation)}\nfn combinedCombine(a: ${type}, b: ${type}) -> ${type} { return ${operation}; }`;
  return {
    bindings: [reads("x", type), writes("y", type)],
    params: [
      ...u32("outputs", "parts", "count", "chunk"),
      ...nestParams(ranks[0], 1, "k"),
      ...nestParams(ranks[1], 1, "r"),
    ],
    threads,
    declarations,
    body: `
let index = ${output};
if (index >= p.outputs * p.parts) { return; }
let part = index % p.parts;
let output = index / p.parts;
${nestOffsets(ranks[0], ["0"], "output", "k")}
let begin = part * p.chunk;
let end = min(begin + p.chunk, p.count);
${
  kind === "sum"
    ? ""
    : `var first: ${type};
{
  let e = min(begin${byWorkgroup ? " + thread" : ""}, end - 1u);
  ${nestOffsets(ranks[1], ["kat0"], "e", "r")}
  first = x[rat0];
}`
}
var value: ${type} = ${start};
for (var e = begin${byWorkgroup ? " + thread" : ""}; e < end; e += ${byWorkgroup ? threads : 1}u) {
  ${nestOffsets(ranks[1], ["kat0"], "e", "r")}
  value = combinedCombine(value, x[rat0]);
}
${
  byWorkgroup
    ? `let all = combined(thread, value);
if (thread == 0u) { y[index] = all${mask}; }`
    : `y[index] = value${mask};`
}`,
  };
};

const reduceInto = (
  stream: Stream,
  op: string,
  kind: Kind,
  type: "f32" | "i32",
  byte: boolean,
  x: GpuStorage,
  { kept, reduced, outputs, count }: Reduction,
  y: GpuStorage,
): void => {
  const contiguous = (reduced.strides[0] as readonly number[]).at(-1) === 1;
  const byWorkgroup = count >= 32 && (contiguous || outputs < 64);
  const threads = byWorkgroup ? (count >= 512 ? 256 : 64) : 64;
  const workgroups = byWorkgroup ? outputs : groupsFor(outputs, threads);
  const wished = partsFor(workgroups, count, byWorkgroup ? 4096 : 64);
  const chunk = Math.ceil(count / wished);
  const parts = Math.ceil(count / chunk);
  const target = parts === 1 ? y : stream.scratch(outputs * parts * 4);
  const ranks = [kept.shape.length, reduced.shape.length] as const;
  stream.dispatch({
    program: {
      label: op,
      key: `reduce/${kind}/${type}${byte ? "/byte" : ""}/${ranks}/${threads}/${byWorkgroup}`,
      shader: () => partShader(kind, type, byte, ranks, threads, byWorkgroup),
    },
    inputs: [x],
    outputs: [target],
    shared: [y],
    params: [outputs, parts, count, chunk, ...nestWords(kept), ...nestWords(reduced)],
    groups: byWorkgroup ? outputs * parts : groupsFor(outputs * parts, threads),
  });
  if (parts === 1) return;
  reduceInto(stream, op, kind, type, byte, target, reductionOf([outputs, parts], [1]), y);
  stream.release(target);
};

/** The sum over the first axis of [parts, size] floats: the second pass of everything that was split. */
export const sumParts = (
  stream: Stream,
  op: string,
  partial: GpuStorage,
  parts: number,
  size: number,
  y: GpuStorage,
): void => reduceInto(stream, op, "sum", "f32", false, partial, reductionOf([parts, size], [0]), y);

const momentsThreads = 256;

/** Means and sums of squared distances of parts of each channel: pairs [output, part], and how the parts were cut. */
export interface MomentParts {
  readonly partial: GpuStorage;
  readonly parts: number;
  readonly chunk: number;
}

const cut = ({ outputs, count }: Reduction): { readonly parts: number; readonly chunk: number } => {
  const chunk = Math.ceil(count / partsFor(outputs, count, 4096));
  return { parts: Math.ceil(count / chunk), chunk };
};

/** `names` are those of the results that `store` writes from `found` = (count, mean, sum of squared distances). */
const dispatchMoments = (
  stream: Stream,
  op: string,
  x: GpuStorage,
  { kept, reduced, outputs, count }: Reduction,
  { parts, chunk }: { readonly parts: number; readonly chunk: number },
  { names, results, store }: { names: readonly string[]; results: readonly GpuStorage[]; store: string },
): void => {
  const ranks = [kept.shape.length, reduced.shape.length] as const;
  const loop = (body: string): string => `for (var e = begin + thread; e < end; e += ${momentsThreads}u) {
  ${nestOffsets(ranks[1], ["kat0"], "e", "r")}
  ${body}
}`;
  stream.dispatch({
    program: {
      label: op,
      key: `moments/${ranks}/${names}`,
      shader: () => ({
        bindings: [reads("x", "f32"), ...names.map((name) => writes(name, "f32"))],
        params: [
          ...u32("outputs", "parts", "count", "chunk"),
          ...nestParams(ranks[0], 1, "k"),
          ...nestParams(ranks[1], 1, "r"),
        ],
        threads: momentsThreads,
        declarations: `${mathFor("relu(")}${treeOf("total", "f32", momentsThreads, "a + b")}`,
        body: `
if (group >= p.outputs * p.parts) { return; }
let part = group % p.parts;
let output = group / p.parts;
${nestOffsets(ranks[0], ["0"], "output", "k")}
let begin = part * p.chunk;
let end = min(begin + p.chunk, p.count);
// Sums of distances from one of the elements: large means do not cost digits.
var shift: f32;
{
  let e = begin;
  ${nestOffsets(ranks[1], ["kat0"], "e", "r")}
  shift = x[rat0];
}
var sum = 0.0;
${loop("sum += x[rat0] - shift;")}
let n = f32(end - begin);
let centre = shift + total(thread, sum) / n;
var squares = 0.0;
var rest = 0.0;
${loop("let d = x[rat0] - centre; squares += d * d; rest += d;")}
let distance = total(thread, rest);
let m2 = total(thread, squares) - distance * (distance / n);
let found = vec3f(n, centre + distance / n, relu(m2));
if (thread == 0u) {
  ${store}
}`,
      }),
    },
    inputs: [x],
    outputs: results,
    params: [outputs, parts, count, chunk, ...nestWords(kept), ...nestWords(reduced)],
    groups: outputs * parts,
  });
};

/**
 * The first of two passes to means and variances, never E[x²]-E[x]²; `mergeParts` is the second. The caller releases
 * `partial`.
 */
export const momentParts = (stream: Stream, op: string, x: GpuStorage, reduction: Reduction): MomentParts => {
  const { parts, chunk } = cut(reduction);
  const partial = stream.scratch(reduction.outputs * parts * 8);
  const store = "partial[2u * group] = found.y; partial[2u * group + 1u] = found.z;";
  dispatchMoments(stream, op, x, reduction, { parts, chunk }, { names: ["partial"], results: [partial], store });
  return { partial, parts, chunk };
};

/** `mergeParts(output)`: (count, mean, sum of squared distances). It reads `partial`, `p.parts`, `p.chunk`, `p.count`. */
export const mergeParts = `
// Chan, Golub and LeVeque 1979: counts, means and sums of squared distances of two samples make those of both.
fn merged(a: vec3f, b: vec3f) -> vec3f {
  let n = a.x + b.x;
  if (b.x == 0.0) { return a; }
  let d = b.y - a.y;
  return vec3f(n, a.y + d * (b.x / n), a.z + b.z + d * d * (a.x * b.x / n));
}
fn mergeParts(output: u32) -> vec3f {
  var found = vec3f(0.0);
  for (var part = 0u; part < p.parts; part++) {
    let at = 2u * (output * p.parts + part);
    let n = f32(min(p.chunk, p.count - part * p.chunk));
    found = merged(found, vec3f(n, partial[at], partial[at + 1u]));
  }
  return found;
}`;

/** Biased variances. */
const variances = (stream: Stream, x: GpuStorage, reduction: Reduction, variance: GpuStorage): void => {
  const { outputs, count } = reduction;
  const store = "variance[output] = found.z / found.x;";
  const op = "variance";
  if (cut(reduction).parts === 1) {
    dispatchMoments(stream, op, x, reduction, cut(reduction), { names: ["variance"], results: [variance], store });
    return;
  }
  const { partial, parts, chunk } = momentParts(stream, op, x, reduction);
  stream.dispatch({
    program: {
      label: op,
      key: "moments-merge",
      shader: () => ({
        bindings: [reads("partial", "f32"), writes("variance", "f32")],
        params: u32("outputs", "parts", "count", "chunk"),
        threads: 64,
        declarations: mergeParts,
        body: `
let output = group * 64u + thread;
if (output >= p.outputs) { return; }
let found = mergeParts(output);
${store}`,
      }),
    },
    inputs: [partial],
    outputs: [variance],
    params: [outputs, parts, count, chunk],
    groups: groupsFor(outputs, 64),
  });
  stream.release(partial);
};

export const reduceKernels = (stream: Stream): Pick<GpuKernels, "reduce" | "variance"> => ({
  reduce: ({ inputs: [x], outputs: [y], attrs: { kind, axes } }) => {
    const byte = x.dtype === "uint8";
    reduceInto(stream, "reduce", kind, scalarType(x.dtype), byte, x.storage, reductionOf(x.shape, axes), y.storage);
  },

  variance: {
    run: ({ inputs: [x], outputs: [y], attrs: { axes } }) =>
      variances(stream, x.storage, reductionOf(x.shape, axes), y.storage),
  },
});
