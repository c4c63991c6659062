import type { DType, Kernels, Operand } from "@striate/core/backend";
import type { GpuStorage } from "../stream.js";
import type { Element } from "../wgsl/shader.js";

export type GpuKernels = Kernels<GpuStorage>;
export type GpuOperand = Operand<GpuStorage>;

/** Scalar type that a kernel sees. uint8 and bool are i32: see docs/webgpu.md. */
export const scalarType = (dtype: DType): "f32" | "i32" => (dtype === "float32" ? "f32" : "i32");

/** `value` as a parameter of that type would hold it, in WGSL. */
export const vectorType = (dtype: DType): Element => (dtype === "float32" ? "vec4<f32>" : "vec4<i32>");

/** Workgroups of `threads` that give `count` threads. */
export const groupsFor = (count: number, threads: number): number => Math.ceil(count / threads);
