/**
 * float16 is a way to store: two numbers in a word. Kernels see float32: operands are widened before, results rounded
 * once behind, to nearest, ties to even. Bits are moved by integer arithmetic, the same on every device, and without the
 * feature `shader-f16`, whose conversions may round as they like. docs/decisions/0031-webgpu-backend.md says what it costs.
 */
import { type DType, sizeOf } from "@striate/core/backend";
import type { GpuStorage, Stream } from "../stream.js";
import { reads, u32, writes } from "../wgsl/shader.js";
import { type GpuKernels, type GpuOperand, groupsFor } from "./types.js";

const THREADS = 64;

const widenSource = `
fn widened(h: u32) -> f32 {
  let sign = (h & 0x8000u) << 16u;
  let exponent = (h >> 10u) & 31u;
  let fraction = h & 0x3ffu;
  // Subnormal: a multiple of 2^-24, which is normal in float32.
  if (exponent == 0u) { return bitcast<f32>(sign | bitcast<u32>(f32(fraction) * bitcast<f32>(0x33800000u))); }
  if (exponent == 31u) { return bitcast<f32>(sign | 0x7f800000u | (fraction << 13u)); }
  return bitcast<f32>(sign | ((exponent + 112u) << 23u) | (fraction << 13u));
}`;

const narrowSource = `
// value / 2^shift to the nearest integer, ties to even.
fn shifted(value: u32, shift: u32) -> u32 {
  let rest = value & ((1u << shift) - 1u);
  let half = 1u << (shift - 1u);
  let floor = value >> shift;
  return floor + select(0u, 1u, rest > half || (rest == half && (floor & 1u) == 1u));
}
fn narrowed(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return sign | 0x7e00u; }
  // 65520, half way between the largest number and what would be the next.
  if (magnitude >= 0x477ff000u) { return sign | 0x7c00u; }
  if (magnitude >= 0x38800000u) { return sign | shifted(magnitude - 0x38000000u, 13u); }
  let exponent = magnitude >> 23u;
  if (exponent < 102u) { return sign; }
  return sign | shifted((magnitude & 0x7fffffu) | 0x800000u, 126u - exponent);
}`;

/** Four elements a thread. Buffers are multiples of 16 bytes, so the last four may reach past the tensor's end. */
const convert = (
  stream: Stream,
  op: string,
  to: "float32" | "float16",
  from: GpuStorage,
  into: GpuStorage,
  size: number,
) => {
  const count = Math.ceil(size / 4);
  const widens = to === "float32";
  stream.dispatch({
    program: {
      label: op,
      key: `float16/${to}`,
      shader: () => ({
        bindings: widens
          ? [reads("x", "vec2<u32>"), writes("y", "vec4<f32>")]
          : [reads("x", "vec4<f32>"), writes("y", "vec2<u32>")],
        params: u32("count"),
        threads: THREADS,
        declarations: widens ? widenSource : narrowSource,
        body: `
let i = group * ${THREADS}u + thread;
if (i >= p.count) { return; }
let v = x[i];
y[i] = ${
          widens
            ? "vec4f(widened(v.x & 0xffffu), widened(v.x >> 16u), widened(v.y & 0xffffu), widened(v.y >> 16u))"
            : "vec2u(narrowed(v.x) | (narrowed(v.y) << 16u), narrowed(v.z) | (narrowed(v.w) << 16u))"
        };`,
      }),
    },
    inputs: [from],
    outputs: [into],
    params: [count],
    groups: groupsFor(count, THREADS),
  });
};

/** Bytes on the device: float16 takes two, everything else four. */
export const deviceBytes = (dtype: DType, size: number): number =>
  dtype === "float16" ? Math.ceil(size / 2) * 4 : size * 4;

/** Any call; which op it belongs to plays no part here. */
interface AnyCall {
  readonly op: string;
  readonly inputs: readonly (GpuOperand | undefined)[];
  readonly outputs: readonly GpuOperand[];
}

type AnyKernel = ((call: AnyCall) => void) | { run(call: AnyCall): void };

const isHalf = (operand: GpuOperand | undefined): operand is GpuOperand => operand?.dtype === "float16";

const onFloat32 = (stream: Stream, run: (call: AnyCall) => void, call: AnyCall): void => {
  const scratches: GpuStorage[] = [];
  const wide = (operand: GpuOperand): GpuOperand => {
    const storage = stream.scratch(sizeOf(operand.shape) * 4);
    scratches.push(storage);
    return { shape: operand.shape, dtype: "float32", storage };
  };
  const inputs = call.inputs.map((input) => {
    if (!isHalf(input)) return input;
    const widened = wide(input);
    convert(stream, call.op, "float32", input.storage, widened.storage, sizeOf(input.shape));
    return widened;
  });
  const outputs = call.outputs.map((output) => (isHalf(output) ? wide(output) : output));
  run({ ...call, inputs, outputs });
  call.outputs.forEach((output, i) => {
    if (!isHalf(output)) return;
    const { storage } = outputs[i] as GpuOperand;
    convert(stream, call.op, "float16", storage, output.storage, sizeOf(output.shape));
  });
  for (const scratch of scratches) stream.release(scratch);
};

/** The kernels, for float16 as well. They see no operand of that dtype. */
export const withFloat16 = (stream: Stream, kernels: GpuKernels): GpuKernels => {
  const lift =
    (run: (call: AnyCall) => void) =>
    (call: AnyCall): void => {
      if (call.inputs.some(isHalf) || call.outputs.some(isHalf)) onFloat32(stream, run, call);
      else run(call);
    };
  const lifted = Object.entries(kernels as unknown as Readonly<Record<string, AnyKernel>>).map(([op, kernel]) => [
    op,
    typeof kernel === "function" ? lift(kernel) : { ...kernel, run: lift((call) => kernel.run(call)) },
  ]);
  // Entries of any table with the kernels' names and signatures: Object.fromEntries forgets them.
  return Object.fromEntries(lifted) as GpuKernels;
};
