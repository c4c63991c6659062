import { memoryUsage, tensor } from "@striate/core";
import { describe, expect, test } from "vitest";
import { BackendChoiceError, backendNames, createBackend } from "./index.js";

describe("createBackend", () => {
  test.each(backendNames)("%s is there and computes", async (name) => {
    const { backend, reason } = await createBackend(name);
    const x = tensor([1, 2, 3], { backend });
    expect(await x.mul(2).toArray()).toEqual([2, 4, 6]);
    expect(reason === "").toBe(name !== "auto");
    if (name !== "auto") expect(backend.name).toBe(name);
  });

  test("auto says what it took", async () => {
    const { backend, reason } = await createBackend("auto");
    expect(reason).toContain(backend.name);
  });

  test("every call makes a backend of its own", async () => {
    const [a, b] = await Promise.all([createBackend("cpu"), createBackend("cpu")]);
    tensor([1], { backend: a.backend });
    expect(memoryUsage(b.backend).tensors).toBe(0);
  });

  test.each(["wasm", "webgpu", "tfjs:cpu", "tfjs:wasm"])(
    "%s is said to be not there yet, not unknown",
    async (name) => {
      if (backendNames.includes(name)) return;
      await expect(createBackend(name)).rejects.toThrow(BackendChoiceError);
      await expect(createBackend(name)).rejects.toThrow(`backend ${name} is not there yet; this build has auto, cpu`);
    },
  );

  test.each([
    ["cpuu", 'there is no backend "cpuu"; did you mean cpu? this build has auto, cpu'],
    ["CPU", 'there is no backend "CPU"; did you mean cpu? this build has auto, cpu'],
    ["cuda", 'there is no backend "cuda"; this build has auto, cpu'],
    ["", 'there is no backend ""; this build has auto, cpu'],
    ["__proto__", 'there is no backend "__proto__"; this build has auto, cpu'],
  ])("%j is refused with a hint where there is one", async (name, message) => {
    await expect(createBackend(name)).rejects.toThrow(new BackendChoiceError(message));
  });
});
