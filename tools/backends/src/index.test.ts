import { memoryUsage, tensor } from "@striate/core";
import { describe, expect, test } from "vitest";
import { BackendChoiceError, backendNames, createBackend } from "./index.js";

const offered = `this build has ${backendNames.join(", ")}`;
/** Need a page. */
const pageOnly = ["tfjs:webgl", "tfjs:webgpu"];
/** Needs an adapter, which a machine may lack. */
const perhaps = ["webgpu"];
const everywhere = backendNames.filter((name) => ![...pageOnly, ...perhaps].includes(name));

describe("createBackend", () => {
  test.each(everywhere)("%s is there and computes", async (name) => {
    const { backend, reason } = await createBackend(name);
    const x = tensor([1, 2, 3], { backend });
    expect(await x.mul(2).toArray()).toEqual([2, 4, 6]);
    expect(reason === "").toBe(name !== "auto");
    if (name !== "auto") expect(backend.name).toBe(name);
  });

  test.each(pageOnly)("%s is refused in Node, with the reason", async (name) => {
    await expect(createBackend(name)).rejects.toThrow(BackendChoiceError);
    await expect(createBackend(name)).rejects.toThrow(`backend ${name} cannot be started: `);
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

  test.each([
    ["cpuu", `there is no backend "cpuu"; did you mean cpu? ${offered}`],
    ["CPU", `there is no backend "CPU"; did you mean cpu? ${offered}`],
    ["cuda", `there is no backend "cuda"; ${offered}`],
    ["", `there is no backend ""; ${offered}`],
    ["__proto__", `there is no backend "__proto__"; ${offered}`],
  ])("%j is refused with a hint where there is one", async (name, message) => {
    await expect(createBackend(name)).rejects.toThrow(new BackendChoiceError(message));
  });
});
