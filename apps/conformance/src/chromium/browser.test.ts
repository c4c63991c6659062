import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BrowserError, findChromium, launchChromium } from "@striate/chromium";
import {
  type CaseResult,
  type ConformanceReport,
  type IsolatedWorker,
  runIsolated,
  type StartEvent,
} from "@striate/conformance";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { needChromium } from "../testing/chromium.js";
import { openWorker } from "./browser.js";
import { bundlePage } from "./bundle.js";
import { serve } from "./server.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-browser-"));
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

const result = (id: string): CaseResult => ({ id, group: "ops", status: "passed", milliseconds: 1 });
const ids = ["first", "second", "third"];
const events = ids.map((id, index): StartEvent => {
  const hung: CaseResult = { ...result(id), status: "failed", reason: "hangs: no result after 1 s" };
  return { id, index, timeout: 1000, hung };
});
const report: Partial<ConformanceReport> = { complete: true, results: [] };

/** A worker that speaks like `serveIsolated` and does `what` in the second case. */
const misbehaving = (what: string): string => `
  self.onmessage = async ({ data: { startAt } }) => {
    postMessage({ type: "plan", total: 3 });
    for (const event of ${JSON.stringify(events)}.slice(startAt)) {
      postMessage({ type: "start", event });
      if (event.index === 1) { ${what} }
      postMessage({ type: "result", result: { id: event.id, group: "ops", status: "passed", milliseconds: 1 } });
    }
    postMessage({ type: "end", report: ${JSON.stringify(report)} });
  };`;

/** Runs a worker's script as the suite is run; `act` is called in the second case. */
const run = async (script: string, act: (browser: Browser) => unknown = () => {}) => {
  const scripts = await bundlePage({ entryPoints: ["../page/page"] });
  const site = await serve(
    new Map<string, () => Uint8Array | string>([
      ["/", () => '<!doctype html><script type="module" src="/page.js"></script>'],
      ["/page.js", () => scripts.get("page.js") as Uint8Array],
      ["/worker.js", () => script],
    ]),
    { isolation: true },
  );
  try {
    const start = async (): Promise<IsolatedWorker> => {
      const browser = await launchChromium(await findChromium());
      const worker = await openWorker(browser, site.origin);
      return {
        ...worker,
        listen: ({ message, lost }) =>
          worker.listen({
            message: (sent) => {
              message(sent);
              if (sent.type === "start" && sent.event.index === 1) act(browser);
            },
            lost,
          }),
      };
    };
    return await runIsolated({ start });
  } finally {
    await site.close();
  }
};

const statuses = (run: ConformanceReport | undefined) => run?.results.map(({ id, status }) => [id, status]);
const secondFailed = [
  ["first", "passed"],
  ["second", "failed"],
  ["third", "passed"],
];
const forever = "await new Promise(() => {});";
/** Pages and browsers that crash never answer the order to. */
const unanswered = () => undefined;

describe("a worker in a page", { timeout: 120_000 }, () => {
  beforeEach(needChromium);
  // A profile is removed behind a crash in time only if the process lives on.
  beforeEach(() => {
    vi.stubEnv("TMPDIR", folder);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test.each([
    ["loops for ever", "for (;;);", /^hangs: no result after 1 s$/],
    ["goes down", `setTimeout(() => { throw new Error("lost"); }); ${forever}`, /^took its worker down: .*lost$/],
  ])("that %s in a case fails it, and the run goes on", async (_what, code, reason) => {
    const done = await run(misbehaving(code));
    expect(statuses(done)).toEqual(secondFailed);
    expect(done?.results[1]?.reason).toMatch(reason);
    expect(done?.summary).toEqual({ passed: 2, failed: 1, skipped: 0 });
  });

  test("that crashes its page in a case fails it, and the run goes on", async () => {
    const done = await run(misbehaving(forever), (browser) => {
      const page = browser.contexts()[0]?.pages()[0];
      if (page) void page.goto("chrome://crash").catch(unanswered);
    });
    expect(statuses(done)).toEqual(secondFailed);
    expect(done?.results[1]?.reason).toBe("crashed its page");
  });

  test("that cannot be loaded rejects", async () => {
    await expect(run("import './no-such-module.js'")).rejects.toThrow(BrowserError);
  });

  test("that takes Chromium down in a case fails it, and the run goes on", async () => {
    const done = await run(misbehaving(forever), async (browser) => {
      const session = await browser.newBrowserCDPSession();
      void session.send("Browser.crash").catch(unanswered);
    });
    expect(statuses(done)).toEqual(secondFailed);
    expect(done?.results[1]?.reason).toMatch(/^(took Chromium down|crashed its page)$/);
  });

  test("rejects where Chromium ends before the first case", async () => {
    const browser = await launchChromium(await findChromium());
    await browser.close();
    await expect(openWorker(browser, "http://127.0.0.1:1")).rejects.toThrow(
      new BrowserError("the page cannot be opened: Chromium ended unexpectedly"),
    );
  });

  test("rejects where the server is gone", async () => {
    const browser = await launchChromium(await findChromium());
    await expect(openWorker(browser, "http://127.0.0.1:1")).rejects.toThrow(/^the page cannot be opened: .*ERR_/);
    expect(browser.isConnected()).toBe(false);
  });
});
