import type { Attrs, Call, Kernels, OptionalOp, RequiredOp } from "@striate/core/backend";
import type { Device, Info } from "./device.js";
import type { Collector, Primitives } from "./primitives.js";
import type { Layouts, TfjsStorage } from "./storage.js";

/** What the kernels stand on. */
export interface Bridge {
  /** For messages: `tfjs:wasm`. */
  readonly name: string;
  readonly device: Device;
  readonly layouts: Layouts;
  readonly primitives: Primitives;
  readonly collector: Collector;
  /** Take tfjs's kernels wherever they are right, however slow. */
  readonly preferOwn: boolean;
  /** Calls that can only be known to be wrong once data has been read: thrown from the next read. */
  readonly pending: (() => Promise<void>)[];
}

export type TfjsKernels = Kernels<TfjsStorage>;
export type Required<K extends RequiredOp> = Pick<TfjsKernels, K>;
export type Optional<K extends OptionalOp> = Pick<TfjsKernels, K>;
export type CallOf<K extends RequiredOp | OptionalOp> = Call<K, TfjsStorage>;
export type { Attrs, Info };
