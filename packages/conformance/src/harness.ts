/** What the adapters for test harnesses share: the plan as a list of tests. */

import type { CaseResult } from "./results.js";
import { type ConformanceOptions, openSuite } from "./run.js";

export type SuiteOptions = Omit<ConformanceOptions, "onPlan" | "onStart" | "onResult" | "signal" | "startAt">;

export interface HarnessTest {
  readonly id: string;
  /** Milliseconds for the harness, more than the suite's own limit. */
  readonly timeout: number;
  run(): Promise<CaseResult>;
}

export interface HarnessSuite {
  readonly tests: readonly HarnessTest[];
  /** Call it after the last test. */
  close(): Promise<void>;
}

export const defineTests = async (options: SuiteOptions): Promise<HarnessSuite> => {
  const suite = await openSuite(options);
  return {
    tests: suite.cases.map(({ id, timeout }, index) => ({
      id,
      timeout: timeout + 5000,
      run: () => suite.runCase(index),
    })),
    close: async () => suite.close(),
  };
};
