import { DataError } from "../errors.js";
import { errorCode, isUnreachable, messageOf } from "./system-errors.js";

export interface DownloadOptions {
  /** A longer body is refused, announced or not. */
  readonly maxBytes: number;
  /** Milliseconds without a byte after which the server is given up. */
  readonly stallTimeout: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (received: number, total: number | undefined) => void;
}

const maxRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

const refuse = (url: URL | string, message: string, cause?: unknown): DataError =>
  new DataError("data-download", `${url}: ${message}`, { cause });

const get = async (url: string, signal: AbortSignal): Promise<Response> => {
  let target = new URL(url);
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const response = await fetch(target, { redirect: "manual", signal, headers: { "accept-encoding": "identity" } });
    const location = response.headers.get("location");
    if (!redirects.has(response.status) || location === null) return response;
    await response.body?.cancel();
    const next = new URL(location, target);
    if (target.protocol === "https:" && next.protocol !== "https:")
      throw refuse(url, `redirects from https to ${next.protocol}//`);
    target = next;
  }
  throw refuse(url, `redirects more than ${maxRedirects} times`);
};

/**
 * The body of `url`, chunk by chunk.
 * @throws DataError `data-offline` where nobody answers; `data-download` for a status other than 2xx, too many or
 * insecure redirects, too long a body, a stall or a broken connection. The signal's reason if it aborts.
 */
export async function* download(
  url: string,
  { maxBytes, stallTimeout, signal, onProgress }: DownloadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const watchdog = new AbortController();
  const stalled = refuse(url, `no data for ${stallTimeout / 1000} s`);
  let timer: NodeJS.Timeout | undefined;
  const watch = (): void => {
    timer = setTimeout(() => watchdog.abort(stalled), stallTimeout);
  };
  watch();
  try {
    const response = await get(url, AbortSignal.any([watchdog.signal, ...(signal === undefined ? [] : [signal])]));
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw refuse(url, `HTTP status ${response.status}`);
    }
    const announced = response.headers.get("content-length");
    const total = announced === null ? undefined : Number(announced);
    if (total !== undefined && total > maxBytes) throw refuse(url, `has ${total} bytes, expected at most ${maxBytes}`);
    let received = 0;
    for await (const chunk of response.body) {
      // The consumer's time is not the server's.
      clearTimeout(timer);
      received += chunk.length;
      if (received > maxBytes) throw refuse(url, `has more than ${maxBytes} bytes`);
      onProgress(received, total);
      yield chunk;
      watch();
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DataError) throw error;
    if (isUnreachable(errorCode(error)))
      throw new DataError("data-offline", `${url}: cannot be reached (${errorCode(error)})`, { cause: error });
    throw refuse(url, messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error), error);
  } finally {
    clearTimeout(timer);
    watchdog.abort();
  }
}
