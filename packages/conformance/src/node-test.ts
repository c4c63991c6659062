/** The suite as tests of `node:test`: one a case. */
import { after, describe, test } from "node:test";
import { defineTests, type SuiteOptions } from "./harness.js";

export type { SuiteOptions } from "./harness.js";

/** Declare the suite in a test file; call it with top-level `await`. */
export const testBackend = async (options: SuiteOptions): Promise<void> => {
  const suite = await defineTests(options);
  describe(`conformance of ${options.name}`, () => {
    for (const { id, timeout, run } of suite.tests)
      test(id, { timeout }, async (context) => {
        const { status, reason } = await run();
        if (status === "skipped") context.skip(reason);
        if (status === "failed") throw new Error(reason);
      });
    after(suite.close);
  });
};
