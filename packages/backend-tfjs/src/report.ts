/** What a tfjs backend gets right, as its probes saw it. */

export type Status =
  /** By tfjs's kernel. */
  | "native"
  /** By other kernels of tfjs. */
  | "composed"
  /** By a loop in JavaScript over the backend's memory. */
  | "host"
  /** By nothing of the bridge's: core decomposes the op. */
  | "decomposed"
  /** By a kernel that gives wrong answers, for want of a right one. */
  | "wrong";

/** Why tfjs's own kernel is not used. */
export type Reason =
  | { readonly kind: "missing" }
  /** Right, but the way taken is as fast or many times faster. */
  | { readonly kind: "passed over" }
  | {
      readonly kind: "wrong";
      /** The smallest call that shows it, in tfjs's public API where that has the op. */
      readonly code: string;
      readonly expected: string;
      /** What the kernel gave, or the message of what it threw. */
      readonly got: string;
    };

export interface ReportRow {
  /** Of Striate: `unary.erf`, `maxPool2dGrad`. */
  readonly op: string;
  readonly dtype: "float32" | "int32";
  /** The tfjs kernel that would do it alone. */
  readonly kernel: string;
  readonly status: Status;
  readonly reason?: Reason;
}
