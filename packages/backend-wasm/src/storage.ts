import type { Kernels, Operand } from "@striate/core/backend";

/** What core holds for a tensor: elements in row-major order, `bool` as bytes of 0 and 1. */
export interface WasmStorage {
  /** In bytes, from the start of the memory. */
  readonly address: number;
}

export type WasmKernels = Kernels<WasmStorage>;
export type WasmOperand = Operand<WasmStorage>;

/** Addresses, as arguments of a program. */
export const addressesOf = (operands: readonly { readonly storage: WasmStorage }[]): number[] =>
  operands.map(({ storage }) => storage.address);
