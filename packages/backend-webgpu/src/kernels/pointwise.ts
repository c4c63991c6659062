/** Element by element, with broadcasting: the frame of most small kernels. */
import { broadcastStrides, mergeAxes, rowMajorStrides, sizeOf } from "@striate/core/backend";
import { nestOffsets, nestParams, nestWords } from "../nest.js";
import type { Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { type Param, reads, repeat, type Shader, u32, writes } from "../wgsl/shader.js";
import { type GpuOperand, groupsFor, scalarType, vectorType } from "./types.js";

const THREADS = 64;

export interface Pointwise {
  readonly op: string;
  /** What `value` depends on besides the dtypes. */
  readonly variant: string;
  /** WGSL expression of the result; the inputs' elements are `x0`, `x1` …, parameters `p.name`. */
  readonly value: string;
  readonly params?: readonly Param[];
  readonly words?: readonly number[];
}

const functionOf = (value: string, inputs: readonly GpuOperand[], output: GpuOperand): string =>
  `${mathFor(value)}
fn element(${inputs.map(({ dtype }, k) => `x${k}: ${scalarType(dtype)}`).join(", ")}) -> ${scalarType(output.dtype)} {
  return ${value};
}`;

/** Four neighbours a thread. Buffers are multiples of 16 bytes, so the last four may reach past the tensor's end. */
const contiguous = ({ value, params = [] }: Pointwise, inputs: readonly GpuOperand[], output: GpuOperand): Shader => ({
  bindings: [...inputs.map(({ dtype }, k) => reads(`a${k}`, vectorType(dtype))), writes("y", vectorType(output.dtype))],
  params: [...u32("count"), ...params],
  threads: THREADS,
  declarations: functionOf(value, inputs, output),
  body: `
let i = group * ${THREADS}u + thread;
if (i >= p.count) { return; }
${inputs.map((_, k) => `let v${k} = a${k}[i];`).join("\n")}
y[i] = ${vectorType(output.dtype)}(${["x", "y", "z", "w"].map((c) => `element(${inputs.map((_, k) => `v${k}.${c}`).join(", ")})`).join(", ")});`,
});

const broadcasting = (
  { value, params = [] }: Pointwise,
  inputs: readonly GpuOperand[],
  output: GpuOperand,
  rank: number,
): Shader => ({
  bindings: [...inputs.map(({ dtype }, k) => reads(`a${k}`, scalarType(dtype))), writes("y", scalarType(output.dtype))],
  params: [...u32("count"), ...params, ...nestParams(rank, inputs.length)],
  threads: THREADS,
  declarations: functionOf(value, inputs, output),
  body: `
let i = group * ${THREADS}u + thread;
if (i >= p.count) { return; }
${nestOffsets(
  rank,
  inputs.map(() => "0"),
  "i",
)}
y[i] = element(${repeat(inputs.length, (k) => `a${k}[at${k}]`, ", ")});`,
});

export const pointwise = (stream: Stream, call: Pointwise, inputs: readonly GpuOperand[], output: GpuOperand): void => {
  const { op, variant, words = [] } = call;
  const size = sizeOf(output.shape);
  const types = [...inputs, output].map(({ dtype }) => scalarType(dtype)).join();
  const storages = { inputs: inputs.map(({ storage }) => storage), outputs: [output.storage] };
  if (inputs.every(({ shape }) => sizeOf(shape) === size)) {
    const count = Math.ceil(size / 4);
    stream.dispatch({
      program: { label: op, key: `${op}/${variant}/${types}`, shader: () => contiguous(call, inputs, output) },
      ...storages,
      params: [count, ...words],
      groups: groupsFor(count, THREADS),
    });
    return;
  }
  const strides = inputs.map(({ shape }) => broadcastStrides(shape, output.shape));
  // The output's own strides keep its axes in step with its linear index.
  const nest = mergeAxes(output.shape, [...strides, rowMajorStrides(output.shape)]);
  const rank = nest.shape.length;
  stream.dispatch({
    program: {
      label: op,
      key: `${op}/${variant}/${types}/rank${rank}`,
      shader: () => broadcasting(call, inputs, output, rank),
    },
    ...storages,
    params: [size, ...words, ...nestWords({ shape: nest.shape, strides: nest.strides.slice(0, -1) })],
    groups: groupsFor(size, THREADS),
  });
};
