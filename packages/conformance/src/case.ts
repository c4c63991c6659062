import type { Backend, DType } from "@striate/core/backend";
import type { Instrumented } from "./instrument.js";
import type { Column, Group } from "./results.js";
import type { Precision } from "./tolerance.js";

/** What a case works with. */
export interface Context {
  /** The backend under test, instrumented. */
  readonly backend: Backend;
  readonly instrumented: Instrumented;
  /** Another instance. The caller disposes it. */
  create(): Promise<Backend>;
  readonly precision: Precision;
}

/** What a case may report besides having passed. */
export interface CaseMeasurement {
  readonly ratio?: number;
  readonly constant?: number;
}

/** One check, and one line in the report. */
export interface Case {
  /** `group:sample` */
  readonly id: string;
  readonly group: Group;
  readonly op?: string;
  readonly dtype?: DType;
  readonly column?: Column;
  /** Why the case cannot run: something that the backend, or the caller, declares not to have. */
  readonly skip?: string;
  /** Longer than most: milliseconds before the case counts as hanging. */
  readonly timeout?: number;
  /** @throws ConformanceFailure and whatever a broken backend throws. */
  run(context: Context): Promise<CaseMeasurement | undefined>;
}
