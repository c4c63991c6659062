import { BrowserError } from "@striate/chromium";
import type { IsolatedWorker } from "@striate/conformance";
import type { Browser, Page } from "playwright-core";
import type { PageGlobals, PageMessage } from "../page/protocol.js";

type Listener = Parameters<IsolatedWorker["listen"]>[0];

/**
 * A page of the site at `origin` with its worker, the only one in `browser`: ending the worker ends Chromium, and with it
 * whatever hangs in its other processes, the GPU's too.
 *
 * @throws BrowserError with `browser` closed
 */
export const openWorker = async (browser: Browser, origin: string): Promise<IsolatedWorker> => {
  let listener: Listener | undefined;
  // A worker can be lost before anyone listens.
  const early: ((to: Listener) => void)[] = [];
  const tell = (news: (to: Listener) => void): void => {
    if (listener) news(listener);
    else early.push(news);
  };
  const lose = (reason: string, said: string): void => tell(({ lost }) => lost(reason, new BrowserError(said)));
  const hear = (messages: readonly PageMessage[]): void => {
    for (const sent of messages)
      if (sent.type === "lost") lose(`took its worker down: ${sent.message}`, `the worker ended: ${sent.message}`);
      else tell(({ message }) => message(sent));
  };
  let page: Page;
  try {
    page = await browser.newPage();
    browser.on("disconnected", () => lose("took Chromium down", "Chromium ended unexpectedly"));
    page.on("crash", () => lose("crashed its page", "the page crashed"));
    await page.exposeFunction("striateHear", hear);
    await page.goto(origin, { waitUntil: "load" });
  } catch (error) {
    const reason = browser.isConnected() ? (error as Error).message : "Chromium ended unexpectedly";
    await browser.close();
    throw new BrowserError(`the page cannot be opened: ${reason}`, { cause: error });
  }
  return {
    listen: (given) => {
      listener = given;
      for (const news of early.splice(0)) news(given);
    },
    launch: (launch) => {
      // A page that cannot take it has crashed, which is heard of by itself.
      page
        .evaluate((sent) => (globalThis as unknown as PageGlobals).striateLaunch(sent), launch)
        .catch(() => undefined);
    },
    terminate: () => browser.close(),
  };
};
