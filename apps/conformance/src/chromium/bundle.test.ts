import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BrowserError } from "@striate/chromium";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundlePage } from "./bundle.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-bundle-"));
});
afterAll(() => rm(folder, { recursive: true }));

const bundle = async (source: string): Promise<ReadonlyMap<string, Uint8Array>> => {
  const file = join(folder, "entry.js");
  await writeFile(file, source);
  return bundlePage({ entryPoints: [file] });
};

describe("bundlePage", () => {
  test("the page needs no module of Node, and loads backends apart", async () => {
    const files = await bundlePage({ conditions: ["striate-source"] });
    expect([...files.keys()]).toEqual(expect.arrayContaining(["page.js", "worker.js"]));
    const worker = new TextDecoder().decode(files.get("worker.js"));
    expect(worker).toContain("import(");
    expect(worker).not.toContain("createCpuBackend =");
  });

  test("a module of Node at the top of a module is refused, by name", async () => {
    const run = bundle('import { readFileSync } from "node:fs"; console.log(readFileSync);');
    await expect(run).rejects.toThrow(BrowserError);
    await expect(run).rejects.toThrow(/the page cannot be bundled: it imports node:fs .*entry\.js/);
  });

  test("one that is imported where it is needed is not", async () => {
    const files = await bundle('if (globalThis.process) console.log(await import("node:fs"));');
    expect([...files.keys()]).toEqual(["entry.js"]);
  });

  test("WebAssembly beside a module comes along", async () => {
    await writeFile(join(folder, "kernels.wasm"), new Uint8Array([0, 97, 115, 109]));
    expect((await bundle("console.log(1);")).get("kernels.wasm")).toEqual(Buffer.from([0, 97, 115, 109]));
  });

  test("modules that their package leaves out of browsers do no harm", async () => {
    await writeFile(join(folder, "package.json"), JSON.stringify({ browser: { "./platform/node.js": false } }));
    await mkdir(join(folder, "platform"));
    await writeFile(join(folder, "platform/node.js"), 'import "node:fs";');
    const files = await bundle('import "./platform/node.js"; console.log(1);');
    expect([...files.keys()]).toContain("entry.js");
  });

  test("what does not compile is refused", async () => {
    await expect(bundle("let let;")).rejects.toThrow(BrowserError);
  });
});
