/** There is no Chromium, it cannot be started, or it ended before the run. */
export class BrowserError extends Error {
  override readonly name = "BrowserError";
}
