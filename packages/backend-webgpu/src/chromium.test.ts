import { fileURLToPath } from "node:url";
import { findChromium, launchChromium, type PageServer, servePage, softwareGpu } from "@striate/chromium";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PageGlobals } from "./testing/page.js";

const flags = [
  ...softwareGpu,
  // A page whose GPU process has crashed, and a browser where it has several times, would get no adapter any more.
  "--disable-domain-blocking-for-3d-apis",
  "--disable-gpu-process-crash-limit",
];

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

/** Where there is none, why not. */
const chromium = await findChromium().then(
  (path) => ({ path }),
  (error: Error) => error,
);

if (chromium instanceof Error && process.env["STRIATE_REQUIRE_WEBGPU"] !== "1")
  test.skip(`in Chromium: left out, ${chromium.message}`, () => {});
else {
  let browser: Awaited<ReturnType<typeof launchChromium>>;
  let server: PageServer;

  beforeAll(async () => {
    server = await servePage(await bundle());
    if (chromium instanceof Error) throw chromium;
    browser = await launchChromium(chromium.path, flags);
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  test("three crashes of the GPU's process: training recovers each time and ends with the same weights", async () => {
    const page = await browser.newPage();
    const session = await browser.newBrowserCDPSession();
    // The command never answers: what it asks for is a crash.
    await page.exposeFunction("crash", () => {
      session.send("Browser.crashGpuProcess").catch(() => {});
    });
    await page.goto(server.origin);
    const train = (crashAt: readonly number[]) =>
      page.evaluate((steps) => (globalThis as unknown as PageGlobals).train(steps), crashAt);
    const undisturbed = await train([]);
    const recovered = await train([2, 9, 17]);
    expect(undisturbed.losses).toEqual([]);
    expect(recovered.losses).toEqual(["unknown", "unknown", "unknown"]);
    expect(recovered.weights).toEqual(undisturbed.weights);
  }, 180_000);
}
