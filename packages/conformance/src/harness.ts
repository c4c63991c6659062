/** What the adapters for test harnesses share: every case of the plan declared as a test. */
import type { CaseResult } from "./results.js";
import { type ConformanceOptions, openSuite } from "./run.js";

export type SuiteOptions = Omit<ConformanceOptions, "onPlan" | "onStart" | "onResult" | "signal" | "startAt">;

/** A test harness as far as it is needed. */
export interface Harness {
  describe(name: string, body: () => void): void;
  /** `run` rejects for a failed test and calls `skip` for a skipped one. */
  test(name: string, timeout: number, run: (skip: (reason?: string) => void) => Promise<void>): void;
  afterAll(close: () => void): void;
}

/** Room for the suite's own limit to end a case first, in milliseconds. */
const grace = 5000;

export const declareSuite = async (options: SuiteOptions, { describe, test, afterAll }: Harness): Promise<void> => {
  const suite = await openSuite(options);
  const declare = (id: string, timeout: number, result: () => Promise<CaseResult>): void =>
    test(id, timeout + grace, async (skip) => {
      const { status, reason } = await result();
      if (status === "skipped") skip(reason);
      if (status === "failed") throw new Error(reason);
    });
  describe(`conformance of ${options.name}`, () => {
    suite.cases.forEach(({ id, timeout }, index) => {
      declare(id, timeout, () => suite.runCase(index));
    });
    for (const stale of suite.stale) declare(stale.id, 0, async () => stale);
    afterAll(suite.close);
  });
};
