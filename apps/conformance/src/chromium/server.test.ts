import { BrowserError } from "@striate/chromium";
import { afterEach, describe, expect, test } from "vitest";
import { type Site, serve } from "./server.js";

let site: Site | undefined;
afterEach(() => site?.close());

const files = new Map<string, () => Uint8Array | string | Promise<Uint8Array>>([
  ["/", () => "<!doctype html>"],
  ["/a.js", () => "let a;"],
  ["/vectors/ops%2Fadd.safetensors", async () => new Uint8Array([1, 2])],
  ["/gone", () => Promise.reject(new Error("ENOENT: ünreadable\n"))],
]);

const get = async (path: string, init?: RequestInit): Promise<Response> => fetch(`${site?.origin}${path}`, init);

describe("serve", () => {
  test("gives what it has, with its type, to this machine only", async () => {
    site = await serve(files, { isolation: true });
    expect(site.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const page = await get("/");
    expect(await page.text()).toBe("<!doctype html>");
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect((await get("/a.js?x=1")).headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    const vector = await get(`/vectors/${encodeURIComponent("ops/add.safetensors")}`);
    expect(new Uint8Array(await vector.arrayBuffer())).toEqual(new Uint8Array([1, 2]));
  });

  test.each([true, false])("isolation %s", async (isolation) => {
    site = await serve(files, { isolation });
    const { headers } = await get("/");
    expect(headers.get("cross-origin-opener-policy")).toBe(isolation ? "same-origin" : null);
    expect(headers.get("cross-origin-embedder-policy")).toBe(isolation ? "require-corp" : null);
  });

  test("has nothing else", async () => {
    site = await serve(files, { isolation: true });
    expect((await get("/etc/passwd")).status).toBe(404);
    expect((await get("/vectors/..%2F..%2Fpackage.json")).status).toBe(404);
    expect((await get("/", { method: "POST" })).status).toBe(404);
  });

  test("a file that cannot be read is a 500 with the reason", async () => {
    site = await serve(files, { isolation: true });
    const { status, statusText } = await get("/gone");
    expect([status, statusText]).toEqual([500, "ENOENT: ?nreadable?"]);
  });

  test("an address that cannot be had is a BrowserError", async () => {
    // A documentation address, which no machine has.
    const run = serve(files, { isolation: true, host: "192.0.2.1" });
    await expect(run).rejects.toThrow(BrowserError);
    await expect(run).rejects.toThrow(/the page cannot be served: .*192\.0\.2\.1/);
  });
});
