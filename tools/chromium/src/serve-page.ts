import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface PageServer {
  /** `http://127.0.0.1:…`, a secure context: every path is an empty page that runs the script. */
  readonly origin: string;
  close(): void;
}

/** Serves `script`, as `/page.js` too, with these headers of a path. */
export const servePage = async (
  script: string,
  headersOf: (path: string) => Readonly<Record<string, string>> = () => ({}),
): Promise<PageServer> => {
  const server = createServer(({ url = "" }, response) => {
    const isScript = url.startsWith("/page.js");
    response.writeHead(200, { ...headersOf(url), "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? script : "<!doctype html><script src=/page.js></script>");
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
};
