/** The suite as tests of `node:test`: one a case. */
import { after, describe, test } from "node:test";
import { declareSuite, type SuiteOptions } from "./harness.js";

export type { SuiteOptions } from "./harness.js";

/** Declare the suite in a test file; call it with top-level `await`. */
export const testBackend = (options: SuiteOptions): Promise<void> =>
  declareSuite(options, {
    describe,
    test: (name, timeout, run) => test(name, { timeout }, (context) => run((reason) => context.skip(reason))),
    afterAll: after,
  });
