import { constants } from "node:fs";
import { access } from "node:fs/promises";
import type { IsolatedWorker } from "@striate/conformance";
// playwright-core: starts and ends Chromium with all its processes and its profile, on every system, and notices crashes;
// unlike playwright it downloads no browser.
import { type Browser, chromium, type Page } from "playwright-core";
import type { PageGlobals, PageMessage } from "../page/protocol.js";
import { BrowserError } from "./error.js";

/** Where Chromium is looked for, unless STRIATE_CHROMIUM says. */
const usual = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/opt/google/chrome/chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

const isExecutable = async (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** @throws BrowserError */
export const findChromium = async (
  named: string | undefined = process.env["STRIATE_CHROMIUM"],
  candidates: readonly string[] = usual,
): Promise<string> => {
  if (named !== undefined && named !== "") {
    if (await isExecutable(named)) return named;
    throw new BrowserError(`STRIATE_CHROMIUM is ${named}, which is no program that can be run`);
  }
  for (const path of candidates) if (await isExecutable(path)) return path;
  throw new BrowserError(
    `no Chromium is there; install one (Debian: apt-get install chromium), or set STRIATE_CHROMIUM to its path. Looked for ${candidates.join(", ")}`,
  );
};

/** WebGPU and WebGL on the processor: the same on every machine, and there without a GPU. Nothing is fetched. */
const flags = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** What the program wrote on its standard error, of all that playwright says; else playwright's first line. */
const launchFailure = ({ message }: Error): string => {
  const said = [...message.matchAll(/^\[pid=\d+\]\[err\] (.*)$/gm)].map(([, line]) => line);
  return said.length > 0 ? said.join("\n") : (message.split("\n")[0] as string);
};

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

/**
 * A headless Chromium; closing it leaves no process and no profile behind.
 *
 * @throws BrowserError if it does not start.
 */
export const launchChromium = async (executablePath: string): Promise<Browser> => {
  // The program ends Chromium itself, after its own work at a signal.
  const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
  try {
    return await chromium.launch({ executablePath, args: flags, ...signals });
  } catch (error) {
    throw new BrowserError(`${executablePath} cannot be started: ${launchFailure(error as Error)}`, { cause: error });
  }
};
