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
    if (name !== "auto") expect(backend.name).toBe(name.replace(/^wasm:.*/, "wasm"));
    backend.dispose();
  });

  test.each(pageOnly)("%s is refused in Node, with the reason", async (name) => {
    await expect(createBackend(name)).rejects.toThrow(BackendChoiceError);
    await expect(createBackend(name)).rejects.toThrow(`backend ${name} cannot be started: `);
  });

  test("auto says what it took", async () => {
    const { backend, reason } = await createBackend("auto");
    expect(reason).toContain(backend.name);
  });

  test.each(["4x8", "4x12", "4x16"])("wasm:%s has that tile", async (tile) => {
    const { backend } = await createBackend(`wasm:${tile}`);
    expect(backend.description).toContain(`, tile ${tile}`);
    backend.dispose();
  });

  test("wasm:measured keeps its tile in the cache, which wasm leaves alone", async () => {
    const entries = new Map<string, string>();
    const tileCache = {
      getItem: (key: string) => entries.get(key) ?? null,
      setItem: (key: string, value: string) => void entries.set(key, value),
    };
    const fixed = await createBackend("wasm", { tileCache });
    expect(entries.size).toBe(0);
    const measured = await createBackend("wasm:measured", { tileCache });
    expect(measured.backend.description).toContain(`, tile ${[...entries.values()]} (measured)`);
    for (const { backend } of [fixed, measured]) backend.dispose();
  });

  test("every call makes a backend of its own", async () => {
    const [a, b] = await Promise.all([createBackend("cpu"), createBackend("cpu")]);
    tensor([1], { backend: a.backend });
    expect(memoryUsage(b.backend).tensors).toBe(0);
  });

  test.each([
    ["cpuu", `there is no backend "cpuu"; did you mean cpu? ${offered}`],
    ["CPU", `there is no backend "CPU"; did you mean cpu? ${offered}`],
    ["wasm:4x10", `there is no backend "wasm:4x10"; did you mean wasm:4x12? ${offered}`],
    ["cuda", `there is no backend "cuda"; ${offered}`],
    ["", `there is no backend ""; ${offered}`],
    ["__proto__", `there is no backend "__proto__"; ${offered}`],
  ])("%j is refused with a hint where there is one", async (name, message) => {
    await expect(createBackend(name)).rejects.toThrow(new BackendChoiceError(message));
  });
});
