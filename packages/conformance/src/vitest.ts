/** The suite as Vitest tests: one a case. */
import { afterAll, describe, test } from "vitest";
import { declareSuite, type SuiteOptions } from "./harness.js";

export type { SuiteOptions } from "./harness.js";

/**
 * Declare the suite in a Vitest file; call it with top-level `await`. A kernel that loops for ever stops the whole test
 * run: the command line tool survives that.
 */
export const testBackend = (options: SuiteOptions): Promise<void> =>
  declareSuite(options, {
    describe,
    test: (name, timeout, run) => test(name, { timeout }, (context) => run((reason) => context.skip(reason))),
    afterAll,
  });
