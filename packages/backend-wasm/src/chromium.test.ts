import { fileURLToPath } from "node:url";
import { findChromium, launchChromium, type PageServer, servePage } from "@striate/chromium";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWasmBackend } from "./index.js";
import type { PageResult, PageSettings, trainHere } from "./testing/page.js";
import { train } from "./testing/train.js";

const STEPS = 2;

const bundle = async (): Promise<string> => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("testing/page.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    conditions: ["striate-source"],
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? "";
};

const isolation = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
} as const;

/** Where there is none, why not. */
const chromium = await findChromium().then(
  (path) => ({ path }),
  (error: Error) => error,
);

if (chromium instanceof Error && process.env["CI"] === undefined)
  test.skip(`in Chromium: left out, ${chromium.message}`, () => {});
else {
  let browser: Awaited<ReturnType<typeof launchChromium>>;
  let server: PageServer;
  let expected: readonly (readonly number[])[];

  beforeAll(async () => {
    server = await servePage(await bundle(), (path) => (path.startsWith("/open/") ? {} : isolation));
    if (chromium instanceof Error) throw chromium;
    browser = await launchChromium(chromium.path);
    const backend = await createWasmBackend({ threads: 2 });
    expected = (await train(backend, STEPS)).map((weights) => Array.from(new Uint32Array(weights.buffer)));
    backend.dispose();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  /** Trains in the page at `path`, in its main thread or in a worker. */
  const inPage = async (
    path: string,
    where: "page" | "worker",
    options: Omit<PageSettings, "steps"> = {},
  ): Promise<PageResult> => {
    const page = await browser.newPage();
    try {
      await page.goto(server.origin + path);
      const settings: PageSettings = { steps: STEPS, ...options };
      if (where === "page")
        return await page.evaluate(
          (data) => (globalThis as unknown as { trainHere: typeof trainHere }).trainHere(data),
          settings,
        );
      return await page.evaluate(
        (data) =>
          new Promise<PageResult>((resolve, reject) => {
            const worker = new Worker("/page.js");
            worker.onmessage = ({ data: result }) => resolve(result);
            worker.onerror = ({ message }) => reject(new Error(message));
            worker.postMessage(data);
          }),
        settings,
      );
    } finally {
      await page.close();
    }
  };

  describe("Chromium trains to the bits that Node trains to", () => {
    test("with cross-origin isolation, on three threads, in a worker", { timeout: 60_000 }, async () => {
      const { weights, ...rest } = await inPage("/", "worker", { threads: 3 });
      expect(rest).toEqual({ threads: 3, tile: "4x8", description: "3 threads", kept: [] });
      expect(weights).toEqual(expected);
    });

    test("in a page's main thread, which may not wait", { timeout: 60_000 }, async () => {
      const { weights, threads } = await inPage("/", "page", { threads: 2 });
      expect(threads).toBe(2);
      expect(weights).toEqual(expected);
    });

    test("with a tile that it measures by a page's clock and keeps in its storage", { timeout: 60_000 }, async () => {
      const { weights, tile, description, kept } = await inPage("/open/", "page", { tile: "measured" });
      expect(description).toContain(`, tile ${tile} (measured)`);
      expect(weights).toEqual(expected);
      expect(kept).toEqual([[expect.stringMatching(/^striate-wasm .*Chrome\/\d/), tile]]);
    });

    test("without cross-origin isolation, on one thread, and says so", { timeout: 60_000 }, async () => {
      const { weights, threads, description } = await inPage("/open/", "worker");
      expect(threads).toBe(1);
      expect(description).toContain("no SharedArrayBuffer");
      expect(weights).toEqual(expected);
    });
  });
}
