import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { readArchive } from "./archive.js";
import type { NpmArchive, RunNpm } from "./npm.js";
import { npmSource, runNpm } from "./npm.js";
import type { DataProgress } from "./options.js";
import { noise, tarGz, temporaryFolder } from "./testing/fixtures.js";

const a = noise(1000, 1);
const tarball = tarGz([{ path: "package/a", bytes: a }]);
const sha512 = createHash("sha512").update(tarball).digest("base64");

const archive: NpmArchive = {
  spec: "some-data@1.0.0",
  sha512,
  size: tarball.length,
  read: (open, wanted, deliver) =>
    readArchive(open(), new Map([...wanted].map((name) => [`package/${name}`, 1000])), (path, bytes) =>
      deliver(path.slice("package/".length), bytes),
    ),
};

const packs =
  (bytes: Uint8Array): RunNpm =>
  (_, cwd) =>
    fs.writeFile(join(cwd, "some-data-1.0.0.tgz"), bytes);

const fetchFrom = async (npm: RunNpm, signal?: AbortSignal) => {
  const folder = await temporaryFolder();
  const files = new Map<string, Uint8Array>();
  const events: DataProgress[] = [];
  const context = { folder, signal, onProgress: (event: DataProgress) => void events.push(event) };
  const deliver = async (name: string, bytes: Uint8Array): Promise<void> => {
    files.set(name, new Uint8Array(bytes));
  };
  let error: unknown;
  await npmSource(archive, npm)
    .fetch(new Set(["a"]), deliver, context)
    .catch((reason: unknown) => {
      error = reason;
    });
  return { files, events, error, left: await fs.readdir(folder) };
};

/** npm itself against a registry on the loopback interface, with nothing of the user's configuration. */
const registry = async (serves: "the package" | "nothing"): Promise<void> => {
  const server = createServer((request, response) => {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    if (serves === "nothing") response.writeHead(404).end("{}");
    else if (request.url === "/some-data.tgz") response.end(tarball);
    else
      response.setHeader("content-type", "application/json").end(
        JSON.stringify({
          name: "some-data",
          "dist-tags": { latest: "1.0.0" },
          versions: {
            "1.0.0": {
              name: "some-data",
              version: "1.0.0",
              dist: { tarball: `${address}/some-data.tgz`, integrity: `sha512-${sha512}` },
            },
          },
        }),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    vi.unstubAllEnvs();
  });
  vi.stubEnv("npm_config_registry", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  vi.stubEnv("npm_config_cache", await temporaryFolder());
};

describe("npmSource", () => {
  test("delivers from the tarball and leaves nothing behind", async () => {
    const { files, events, error, left } = await fetchFrom(packs(tarball));
    expect(error).toBeUndefined();
    expect(files).toEqual(new Map([["a", a]]));
    expect(left).toEqual([]);
    const source = "npm package some-data@1.0.0";
    expect(events).toEqual([
      { phase: "download", source, received: 0, total: tarball.length },
      { phase: "download", source, received: tarball.length, total: tarball.length },
    ]);
  });

  test("asks npm for the tarball alone, in a folder of its own", async () => {
    const calls: (readonly string[])[] = [];
    await fetchFrom(async (args, cwd) => {
      calls.push(args);
      expect(await fs.readdir(cwd)).toEqual(["package.json"]);
    });
    expect(calls.map((args) => args.slice(0, 3))).toEqual([["pack", "some-data@1.0.0", "--ignore-scripts"]]);
  });

  test("parses nothing of a tarball with another hash", async () => {
    const changed = tarGz([{ path: "package/a", bytes: noise(1000, 2) }]);
    const { files, error, left } = await fetchFrom(packs(changed));
    expect(error).toMatchObject({ code: "data-corrupt" });
    expect(files.size).toBe(0);
    expect(left).toEqual([]);
  });

  test("npm that writes nothing is an error", async () => {
    const { error } = await fetchFrom(async () => undefined);
    expect(error).toMatchObject({ code: "data-download" });
  });

  test("an error of npm comes through and leaves nothing behind", async () => {
    const mine = new Error("mine");
    const { error, left } = await fetchFrom(() => Promise.reject(mine));
    expect(error).toBe(mine);
    expect(left).toEqual([]);
  });
});

describe("runNpm", () => {
  test("packs from the user's registry", async () => {
    await registry("the package");
    const { files, error } = await fetchFrom(runNpm);
    expect(error).toBeUndefined();
    expect(files).toEqual(new Map([["a", a]]));
  });

  test("a package that is not there", async () => {
    await registry("nothing");
    const { error } = await fetchFrom(runNpm);
    expect(error).toMatchObject({ code: "data-download", message: expect.stringContaining("404") });
  });

  test("no registry to be reached", async () => {
    await registry("nothing");
    vi.stubEnv("npm_config_registry", "http://127.0.0.1:1/");
    const { error } = await fetchFrom(runNpm);
    expect(error).toMatchObject({ code: "data-offline", message: expect.stringContaining("127.0.0.1:1") });
  });

  /** In npm's place, a shell script. */
  const npmScript = async (script: string): Promise<void> => {
    const folder = await temporaryFolder();
    await fs.writeFile(join(folder, "npm"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv("PATH", folder);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
  };

  test.skipIf(process.platform === "win32").each([
    ["ENOSPC", "data-write"],
    ["ENOTFOUND", "data-offline"],
    ["E404", "data-download"],
  ])("npm's code %s is %s", async (npmCode, code) => {
    await npmScript(`echo "npm error code ${npmCode}" >&2; echo "npm error network what it was" >&2; exit 1`);
    const { error, left } = await fetchFrom(runNpm);
    expect(error).toMatchObject({ code, message: "npm pack: what it was" });
    expect(left).toEqual([]);
  });

  test.skipIf(process.platform === "win32")("an npm that is killed, and one that says nothing", async () => {
    await npmScript("kill -9 $$");
    expect((await fetchFrom(runNpm)).error).toMatchObject({ message: "npm pack: it ended with SIGKILL" });
    await npmScript("exit 3");
    expect((await fetchFrom(runNpm)).error).toMatchObject({ message: "npm pack: it ended with 3" });
  });

  test("no npm", async () => {
    vi.stubEnv("PATH", await temporaryFolder());
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const { error } = await fetchFrom(runNpm);
    expect(error).toMatchObject({ code: "data-download" });
  });

  test("ends with the signal's reason", async () => {
    const reason = new Error("enough");
    await registry("nothing");
    const { error, left } = await fetchFrom(runNpm, AbortSignal.abort(reason));
    expect(error).toBe(reason);
    expect(left).toEqual([]);
  });
});
