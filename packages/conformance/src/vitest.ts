/** The suite as Vitest tests: one a case. */
import { afterAll, describe, test } from "vitest";
import { defineTests, type SuiteOptions } from "./harness.js";

export type { SuiteOptions } from "./harness.js";

/**
 * Declare the suite in a Vitest file; call it with top-level `await`. A kernel that loops for ever stops the whole test
 * run: the command line tool survives that.
 */
export const testBackend = async (options: SuiteOptions): Promise<void> => {
  const suite = await defineTests(options);
  describe(`conformance of ${options.name}`, () => {
    for (const { id, timeout, run } of suite.tests)
      test(id, { timeout }, async (context) => {
        const { status, reason } = await run();
        if (status === "skipped") context.skip(reason);
        if (status === "failed") throw new Error(reason);
      });
    afterAll(suite.close);
  });
};
