import { findChromium } from "@striate/chromium";
import type { TestContext } from "vitest";

/** Skips the test where no Chromium is installed. Continuous integration has one: there its absence is a failure. */
export const needChromium = async (context: Pick<TestContext, "skip">): Promise<void> => {
  try {
    await findChromium();
  } catch (error) {
    if (process.env["CI"]) throw error;
    context.skip((error as Error).message);
  }
};
