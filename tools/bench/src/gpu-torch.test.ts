import { afterEach, expect, test, vi } from "vitest";
import { runTorch } from "./gpu-torch.js";
import { torchIsHere } from "./peers/torch.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

const work = { matmul: 16, batch: 2, width: 4, rounds: 1 };

test.skipIf(!torchIsHere())("PyTorch's product and training step, both ways", { timeout: 60_000 }, async () => {
  vi.stubEnv("STRIATE_PYTHON", process.env["STRIATE_PYTHON"] ?? "/usr/bin/python3");
  const found = await runTorch("cpu", work);
  for (const { matmulTeraflops, imagesPerSecond } of [found?.float32, found?.tf32].flatMap((s) => (s ? [s] : []))) {
    expect(matmulTeraflops).toBeGreaterThan(0);
    expect(imagesPerSecond).toBeGreaterThan(0);
  }
  expect(found).toMatchObject({ device: "cpu", version: expect.stringMatching(/^\d+\.\d+/) });
});

test("no Python is no result", async () => {
  vi.stubEnv("STRIATE_PYTHON", "there-is-no-such-python");
  expect(await runTorch("cuda", work)).toBeNull();
});
