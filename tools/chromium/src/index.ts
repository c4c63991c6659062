/** The Chromium of this machine, for programs and tests. */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
// playwright-core: starts and ends Chromium with all its processes and its profile, on every system, and notices crashes;
// unlike playwright it downloads no browser.
import { type Browser, chromium } from "playwright-core";

export { type PageServer, servePage } from "./serve-page.js";

/** There is no Chromium, it cannot be started, or it ended before its work was done. */
export class BrowserError extends Error {
  override readonly name = "BrowserError";
}

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

/** Nothing is fetched. */
const quiet = [
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/**
 * WebGPU and WebGL on the processor: the same on every machine, and there without a GPU. The page itself is then drawn that way
 * as well, which takes an eighth of a core for one that changes all the time.
 */
export const softwareGpu: readonly string[] = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
];

/** What the program wrote on its standard error, of all that playwright says; else playwright's first line. */
const launchFailure = ({ message }: Error): string => {
  const said = [...message.matchAll(/^\[pid=\d+\]\[err\] (.*)$/gm)].map(([, line]) => line);
  return said.length > 0 ? said.join("\n") : (message.split("\n")[0] as string);
};

/**
 * A headless Chromium, with these flags besides its own; closing it leaves no process and no profile behind.
 *
 * @throws BrowserError if it does not start.
 */
export const launchChromium = async (executablePath: string, flags: readonly string[] = []): Promise<Browser> => {
  // The program ends Chromium itself, after its own work at a signal.
  const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
  try {
    return await chromium.launch({ executablePath, args: [...quiet, ...flags], ...signals });
  } catch (error) {
    throw new BrowserError(`${executablePath} cannot be started: ${launchFailure(error as Error)}`, { cause: error });
  }
};
