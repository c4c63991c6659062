import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { BrowserError } from "@striate/chromium";

/** By path, `/` for the page itself. */
export type SiteFiles = ReadonlyMap<string, () => Uint8Array | string | Promise<Uint8Array>>;

export interface Site {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = {
  "": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** With these a page is cross-origin isolated: it has SharedArrayBuffer, and with it threads of WebAssembly. */
const isolating = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/**
 * Serves `files`, and nothing else, to this machine.
 *
 * @throws BrowserError if it cannot listen.
 */
export const serve = async (
  files: SiteFiles,
  { isolation, host = "127.0.0.1" }: { readonly isolation: boolean; readonly host?: string },
): Promise<Site> => {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const read = request.method === "GET" ? files.get(pathname) : undefined;
    if (!read) {
      response.writeHead(404).end();
      return;
    }
    const headers = {
      "Content-Type": types[extname(pathname)] ?? "application/octet-stream",
      "Cache-Control": "no-store",
      ...(isolation && isolating),
    };
    Promise.resolve()
      .then(read)
      .then(
        (content) => response.writeHead(200, headers).end(content),
        (error: Error) => response.writeHead(500, error.message.replace(/[^ -~]/g, "?")).end(),
      );
  });
  server.listen(0, host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw new BrowserError(`the page cannot be served: ${(error as Error).message}`, { cause: error });
  }
  return {
    origin: `http://${host}:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
};
