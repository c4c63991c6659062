import { createCpuBackend } from "@striate/backend-cpu";
import { tensor } from "@striate/core";
import { expect, test } from "vitest";
import { logitsOf } from "./index.js";

test("logitsOf gives the main classifier's, with and without auxiliary ones", async () => {
  const logits = tensor([1, 2], { backend: await createCpuBackend() });
  expect(logitsOf(logits)).toBe(logits);
  expect(logitsOf({ logits, auxiliary: [] })).toBe(logits);
});
