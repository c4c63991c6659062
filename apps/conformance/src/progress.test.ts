import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { createProgress } from "./progress.js";

test("elsewhere than on a terminal there is a line for each group", () => {
  const stream = new PassThrough();
  const progress = createProgress(stream as unknown as NodeJS.WriteStream);
  const base = { milliseconds: 1, status: "passed" } as const;
  progress.plan(3);
  progress.result({ ...base, id: "ops:a", group: "ops" });
  progress.result({ ...base, id: "ops:b", group: "ops", status: "failed" });
  progress.result({ ...base, id: "leaks:a", group: "leaks" });
  progress.stop();
  expect(String(stream.read())).toBe(
    "3 cases\nops: 1 passed, 1 failed, 0 skipped\nleaks: 1 passed, 0 failed, 0 skipped\n",
  );
});
