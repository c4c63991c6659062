/** Kernels that work along one axis: a thread on each line if lines are short or many, else a workgroup. */
import { around, type Shape } from "@striate/core/backend";
import type { GpuStorage, Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { type Binding, type Param, u32 } from "../wgsl/shader.js";
import { treeOf } from "./reduce.js";

export interface LineKernel {
  readonly op: string;
  readonly variant: string;
  readonly bindings: readonly Binding[];
  readonly params?: readonly Param[];
  readonly words?: readonly number[];
  readonly declarations?: string;
  /**
   * In scope: `line`; `start`, the line's first element; `lane`, this thread's number on the line. `EACH` becomes the
   * head of a loop over this thread's elements, at `i`; `total(lane, v)` and `greatest(lane, v)` combine all threads'
   * values; `only` is whether this thread speaks for the line.
   */
  readonly body: string;
  readonly shape: Shape;
  readonly axis: number;
  readonly inputs: readonly GpuStorage[];
  readonly outputs: readonly GpuStorage[];
  /** One thread a line, always: the order along the line matters. */
  readonly serial?: boolean;
}

const THREADS = 64;

export const dispatchLines = (stream: Stream, kernel: LineKernel): void => {
  const { op, variant, bindings, params = [], words = [], declarations = "", body, shape, axis, serial } = kernel;
  const { outer, extent, inner } = around(shape, axis);
  const lines = outer * inner;
  const lanes = serial || extent < 64 || (lines >= 4096 && extent < 512) ? 1 : THREADS;
  const loop = `for (var i = start + lane * p.inner; i < start + p.extent * p.inner; i += ${lanes}u * p.inner)`;
  const combine =
    lanes === 1
      ? `fn total(lane: u32, v: f32) -> f32 { return v; }
fn greatest(lane: u32, v: f32) -> f32 { return v; }`
      : `${treeOf("total", "f32", THREADS, "a + b")}
${treeOf("greatest", "f32", THREADS, "greater(a, b)")}`;
  stream.dispatch({
    program: {
      label: op,
      key: `${op}/${variant}/${lanes}`,
      shader: () => ({
        bindings,
        params: [...u32("lines", "extent", "inner"), ...params],
        threads: THREADS,
        declarations: `${mathFor(`${body} greater(`)}\n${combine}\n${declarations}`,
        body: `
let line = ${lanes === 1 ? `group * ${THREADS}u + thread` : "group"};
if (line >= p.lines) { return; }
let lane = ${lanes === 1 ? "0u" : "thread"};
let only = lane == 0u;
let start = line / p.inner * p.extent * p.inner + line % p.inner;
${body.replaceAll("EACH", loop)}`,
      }),
    },
    inputs: kernel.inputs,
    outputs: kernel.outputs,
    params: [lines, extent, inner, ...words],
    groups: lanes === 1 ? Math.ceil(lines / THREADS) : lines,
  });
};

/** Statements that find `most`, the maximum of `x` along the line, and `logSum`, the log of Σ e^(x - most). */
export const logSumExp = `
var found = x[start + min(lane, p.extent - 1u) * p.inner];
EACH { found = greater(found, x[i]); }
let most = greatest(lane, found);
var sum = 0.0;
EACH { sum += expOf(x[i] - most); }
let logSum = logOf(total(lane, sum));`;
