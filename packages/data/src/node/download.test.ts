import type { RequestListener } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { DataError } from "../errors.js";
import type { DownloadOptions } from "./download.js";
import { download } from "./download.js";
import { noise } from "./testing/fixtures.js";

afterEach(() => vi.useRealTimers());

/** A server on the loopback interface for one test. */
const serve = async (listener: RequestListener): Promise<string> => {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const get = async (url: string, options: Partial<DownloadOptions> = {}): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  const all = { maxBytes: 1_000_000, stallTimeout: 20_000, signal: undefined, onProgress: () => undefined, ...options };
  for await (const chunk of download(url, all)) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const body = noise(200_000, 1);

describe("download", () => {
  test("yields the body and reports its size", async () => {
    const url = await serve((_, response) => response.setHeader("content-length", body.length).end(body));
    const seen: [number, number | undefined][] = [];
    expect(new Uint8Array(await get(url, { onProgress: (...event) => seen.push(event) }))).toEqual(body);
    expect(seen.at(-1)).toEqual([body.length, body.length]);
  });

  test("does without a content-length", async () => {
    const url = await serve((_, response) => {
      response.write(body);
      response.end();
    });
    const totals = new Set<number | undefined>();
    expect((await get(url, { onProgress: (_, total) => totals.add(total) })).length).toBe(body.length);
    expect([...totals]).toEqual([undefined]);
  });

  test("follows a redirect", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/") response.writeHead(302, { location: "/there" }).end();
      else response.end(request.url);
    });
    expect((await get(url)).toString()).toBe("/there");
  });

  test.each([404, 403, 500, 304])("refuses status %d", async (status) => {
    const url = await serve((_, response) => response.writeHead(status).end("not data"));
    await expect(get(url)).rejects.toMatchObject({ code: "data-download" });
    await expect(get(url)).rejects.toThrow(`HTTP status ${status}`);
  });

  test("ends a redirect loop", async () => {
    let requests = 0;
    const url = await serve((_, response) => {
      requests++;
      response.writeHead(301, { location: "/again" }).end();
    });
    await expect(get(url)).rejects.toThrow("redirects more than 5 times");
    expect(requests).toBe(6);
  });

  test("refuses an announced length above the cap without reading", async () => {
    const url = await serve((_, response) => response.setHeader("content-length", body.length).end(body));
    await expect(get(url, { maxBytes: body.length - 1 })).rejects.toThrow("has 200000 bytes, expected at most 199999");
  });

  test("refuses an unannounced length above the cap", async () => {
    const url = await serve((_, response) => {
      response.write(body);
      response.end();
    });
    await expect(get(url, { maxBytes: body.length - 1 })).rejects.toThrow("has more than 199999 bytes");
  });

  test("gives up a server that never answers", async () => {
    const url = await serve(() => undefined);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const act = get(url, { stallTimeout: 30_000 }).catch((error: unknown) => error);
    vi.advanceTimersByTime(30_000);
    expect(await act).toMatchObject({ code: "data-download", message: `${url}: no data for 30 s` });
  });

  test("gives up a server that stops in the middle", async () => {
    const url = await serve((_, response) => response.setHeader("content-length", body.length).write(body.subarray(9)));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let received = 0;
    const act = get(url, {
      stallTimeout: 30_000,
      onProgress: (bytes) => {
        received = bytes;
        // Only once the last byte is here can nothing but the timer end the wait.
        if (bytes === body.length - 9) setImmediate(() => vi.advanceTimersByTime(30_000));
      },
    });
    await expect(act).rejects.toThrow("no data for 30 s");
    expect(received).toBe(body.length - 9);
  });

  test("does not count the consumer's time as the server's", async () => {
    const url = await serve((_, response) => response.end(body));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let received = 0;
    const options = { maxBytes: 1e6, stallTimeout: 30_000, signal: undefined, onProgress: () => undefined };
    for await (const chunk of download(url, options)) {
      vi.advanceTimersByTime(60_000);
      received += chunk.length;
    }
    expect(received).toBe(body.length);
  });

  test("refuses a body that breaks off", async () => {
    const url = await serve((_, response) => {
      response.setHeader("content-length", body.length);
      response.write(body.subarray(100), () => response.destroy());
    });
    await expect(get(url)).rejects.toMatchObject({ code: "data-download" });
  });

  test("says that nobody answers", async () => {
    const url = await serve(() => undefined);
    const unused = await new Promise<number>((resolve) => {
      const probe = createServer().listen(0, "127.0.0.1", () => {
        const { port } = probe.address() as AddressInfo;
        probe.close(() => resolve(port));
      });
    });
    const error = await get(`http://127.0.0.1:${unused}`).catch((e: unknown) => e);
    expect(url).not.toContain(`:${unused}`);
    expect(error).toBeInstanceOf(DataError);
    expect(error).toMatchObject({ code: "data-offline" });
  });

  test("ends with the signal's reason", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const url = await serve((_, response) => {
      response.write(body.subarray(9));
      abort.abort(reason);
    });
    await expect(get(url, { signal: abort.signal })).rejects.toBe(reason);
  });

  test("lets go of the connection when the consumer stops", async () => {
    let closed: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const url = await serve((_, response) => {
      response.on("close", closed);
      response.write(body);
    });
    const options = { maxBytes: 1e6, stallTimeout: 20_000, signal: undefined, onProgress: () => undefined };
    for await (const _ of download(url, options)) break;
    await gone;
  });
});
