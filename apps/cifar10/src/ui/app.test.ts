import { describe, expect, test } from "vitest";
import { createApp } from "./app.js";
import { createHub } from "./hub.js";
import { importMapHash, type PageFiles } from "./page-files.js";
import type { UiRequest } from "./protocol.js";

const host = "127.0.0.1:4321";
const files: PageFiles = new Map([
  ["", { type: "text/html; charset=utf-8", content: "<!doctype html>" }],
  ["page.js", { type: "text/javascript; charset=utf-8", content: "1;" }],
]);

const setUp = () => {
  const requests: UiRequest[] = [];
  const hub = createHub({ state: () => '{"title":"a run"}' });
  const app = createApp({
    token: "secret",
    hosts: () => [host, "localhost:4321"],
    files,
    hub,
    cell: (label, predicted) => (label === 1 ? { label, predicted, images: [] } : undefined),
    onRequest: (request) => requests.push(request),
    pace: 0,
  });
  const ask = (path: string, { headers, ...init }: RequestInit = {}): Promise<Response> =>
    Promise.resolve(app.request(`http://${host}${path}`, { headers: { host, ...headers }, ...init }));
  const post = (body: string, headers: Record<string, string> = {}): Promise<Response> =>
    ask("/secret/request", { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
  return { requests, hub, ask, post };
};

describe("who may ask", () => {
  test("the page and its files come with the token", async () => {
    const { ask } = setUp();
    const page = await ask("/secret/");
    expect([page.status, await page.text()]).toEqual([200, "<!doctype html>"]);
    const script = await ask("/secret/page.js");
    expect(script.headers.get("content-type")).toMatch(/^text\/javascript/);
  });

  test.each([
    "/",
    "/page.js",
    "/events",
    "/request",
    "/wrong/",
    "/wrong/events",
    "/Secret/",
    "/secret/none.js",
    "/secret/../page.js",
  ])("without it there is nothing at %s", async (path) => {
    const { ask } = setUp();
    expect((await ask(path)).status).toBe(404);
  });

  test.each(["evil.example", "evil.example:4321", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:4321.evil.example", ""])(
    "a page that calls this machine %j is not answered",
    async (name) => {
      const { ask } = setUp();
      expect((await ask("/secret/", { headers: { host: name } })).status).toBe(403);
    },
  );

  test("this machine has two names", async () => {
    const { ask } = setUp();
    expect((await ask("/secret/", { headers: { host: "localhost:4321" } })).status).toBe(200);
  });

  test.each(["http://evil.example", "null", "https://127.0.0.1:4321", "http://127.0.0.1:80"])(
    "a request from a page at %s changes nothing",
    async (origin) => {
      const { post, requests } = setUp();
      expect((await post('{"type":"stop"}', { origin })).status).toBe(403);
      expect(requests).toEqual([]);
    },
  );
});

test("the policy lets nothing in from elsewhere", async () => {
  const { ask } = setUp();
  const { headers } = await ask("/secret/");
  const policy = headers.get("content-security-policy");
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain(`script-src 'self' '${importMapHash}'`);
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
  expect(headers.get("cache-control")).toBe("no-store");
});

describe("requests", () => {
  test.each<UiRequest>([
    { type: "pause" },
    { type: "resume" },
    { type: "stop" },
    { type: "change", lr: 0.1, momentum: 0.5, weightDecay: 0 },
    { type: "snapshot", what: "filters" },
    { type: "snapshot", what: "gradients", layer: "0.weight" },
    { type: "snapshot", what: "activations", layer: "0", example: 3 },
    { type: "snapshot", what: "predictions", from: 12 },
  ])("%j arrives", async (request) => {
    const { post, requests } = setUp();
    expect((await post(JSON.stringify(request))).status).toBe(204);
    expect(requests).toEqual([request]);
  });

  test.each([
    "",
    "{",
    "null",
    "[]",
    '"stop"',
    "{}",
    '{"type":"explode"}',
    '{"type":"stop","now":true}',
    '{"type":"change"}',
    '{"type":"change","lr":"0.1"}',
    '{"type":"change","lr":-1}',
    '{"type":"change","lr":1e999}',
    '{"type":"change","beta":1}',
    '{"type":"snapshot"}',
    '{"type":"snapshot","what":"weights"}',
    '{"type":"snapshot","what":"predictions","from":0.5}',
    '{"type":"snapshot","what":"predictions","from":-1}',
    `{"type":"snapshot","what":"filters","layer":"${"x".repeat(300)}"}`,
  ])("%s is refused", async (body) => {
    const { post, requests } = setUp();
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(await response.text()).not.toBe("");
    expect(requests).toEqual([]);
  });

  test("what is too large is refused", async () => {
    const { post, requests } = setUp();
    expect((await post(`{"type":"stop"${" ".repeat(5000)}}`)).status).toBe(413);
    expect(requests).toEqual([]);
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])(
    "a body of %s, which any page can send, is refused",
    async (type) => {
      const { post, requests } = setUp();
      expect((await post('{"type":"stop"}', { "content-type": type })).status).toBe(415);
      expect(requests).toEqual([]);
    },
  );

  test("cells of the confusion matrix", async () => {
    const { ask } = setUp();
    expect(await (await ask("/secret/cell/1/2")).json()).toEqual({ label: 1, predicted: 2, images: [] });
    for (const path of ["/secret/cell/7/2", "/secret/cell/a/b", "/secret/cell/1"])
      expect((await ask(path)).status, path).toBe(404);
  });
});

test("a page gets the state, then what is new, until the end", async () => {
  const { ask, hub } = setUp();
  const response = await ask("/secret/events");
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = "";
  const until = async (end: string): Promise<void> => {
    while (!text.includes(end)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`ended before ${end}: ${text}`);
      text += decoder.decode(value, { stream: true });
    }
  };
  await until('event: state\ndata: {"title":"a run"}\n\n');
  hub.metric('{"event":"step","step":1}');
  hub.metric('{"event":"step","step":2}');
  await until('event: metrics\ndata: [{"event":"step","step":1},{"event":"step","step":2}]\n\n');
  hub.message('{"type":"status","status":"paused"}');
  await until('event: message\ndata: {"type":"status","status":"paused"}\n\n');
  hub.metric('{"event":"end"}');
  hub.close();
  await until('data: [{"event":"end"}]\n\n');
  expect((await reader.read()).done).toBe(true);
});
