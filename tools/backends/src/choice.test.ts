import { createCpuBackend } from "@striate/backend-cpu";
import { describe, expect, test } from "vitest";
import { BackendChoiceError, type Candidate, startBackend, startFirst } from "./choice.js";

const cpu: Candidate = { name: "cpu", create: createCpuBackend };
const broken = (name: string): Candidate => ({
  name,
  create: async () => {
    throw new RangeError("no adapter");
  },
});

test("a backend that cannot be started is named, with the cause", async () => {
  await expect(startBackend(broken("webgpu"))).rejects.toThrow(
    new BackendChoiceError("backend webgpu cannot be started: no adapter"),
  );
  await expect(startBackend(broken("webgpu"))).rejects.toHaveProperty("cause", new RangeError("no adapter"));
});

describe("startFirst", () => {
  test("takes the first", async () => {
    const { backend, reason } = await startFirst([cpu, broken("webgpu")]);
    expect(backend.name).toBe("cpu");
    expect(reason).toBe("cpu is the fastest backend that is there");
  });

  test("says what it passed over, and why", async () => {
    const { backend, reason } = await startFirst([broken("webgpu"), cpu]);
    expect(backend.name).toBe("cpu");
    expect(reason).toBe("cpu is the fastest backend that is there; backend webgpu cannot be started: no adapter");
  });

  test("refuses where none starts", async () => {
    await expect(startFirst([broken("webgpu"), broken("wasm")])).rejects.toThrow(
      new BackendChoiceError(
        "backend webgpu cannot be started: no adapter; backend wasm cannot be started: no adapter",
      ),
    );
  });
});
