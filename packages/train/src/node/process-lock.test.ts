import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { holderHere, removeStale, takeLock } from "./process-lock.js";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "striate-lock-"));
  path = join(folder, "lock");
});
afterEach(() => fs.rm(folder, { recursive: true }));

/** The id of a process that was alive and is gone. */
const deadPid = spawnSync(process.execPath, ["-e", ""]).pid;
const held = (fields: object): Promise<void> =>
  fs.writeFile(path, JSON.stringify({ pid: deadPid, started: null, host: hostname(), token: randomUUID(), ...fields }));
const locked = { name: "TrainingError", code: "run-locked" };

describe("takeLock", () => {
  test("has one holder at a time, in one process too", async () => {
    const release = await takeLock(path);
    await expect(takeLock(path)).rejects.toMatchObject({
      ...locked,
      message: expect.stringContaining(`process ${process.pid} on ${hostname()} trains in it`),
    });
    await release();
    expect(await fs.readdir(folder)).toEqual([]);
    await (await takeLock(path))();
  });

  test("refuses while another process lives", async () => {
    await held({ pid: process.ppid });
    await expect(takeLock(path)).rejects.toMatchObject(locked);
  });

  test("refuses what another machine holds", async () => {
    await held({ host: "elsewhere" });
    await expect(takeLock(path)).rejects.toThrow("on elsewhere");
  });

  test("takes over from a process that is gone, and leaves nothing of it", async () => {
    await held({});
    const release = await takeLock(path);
    expect(JSON.parse(await fs.readFile(path, "utf8"))).toMatchObject({ pid: process.pid });
    expect(await fs.readdir(folder)).toEqual(["lock"]);
    await release();
  });

  test.skipIf(!existsSync("/proc/self/stat"))("takes over when the pid has come round again", async () => {
    await held({ pid: process.ppid, started: "another-boot/1" });
    await (await takeLock(path))();
  });

  test("of many that take over at once, one wins", async () => {
    for (let round = 0; round < 20; round++) {
      await held({});
      const taken = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(path)));
      const releases = taken.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      expect(releases).toHaveLength(1);
      for (const result of taken) if (result.status === "rejected") expect(result.reason).toMatchObject(locked);
      await releases[0]?.();
    }
    expect(await fs.readdir(folder)).toEqual([]);
  });

  test("who comes late to take over leaves the lock of who was faster alone", async () => {
    const stale = randomUUID();
    await held({ token: stale });
    const release = await takeLock(path);
    const text = await fs.readFile(path, "utf8");
    await removeStale(path, stale, await holderHere());
    expect(await fs.readFile(path, "utf8")).toBe(text);
    expect(await fs.readdir(folder)).toEqual(["lock"]);
    await release();
    await removeStale(path, stale, await holderHere());
    expect(await fs.readdir(folder)).toEqual([]);
  });

  test("takes over although somebody died while taking over", async () => {
    const token = randomUUID();
    await held({ token });
    const guard = { pid: deadPid, started: null, host: hostname(), token: randomUUID() };
    await fs.writeFile(`${path}.${token}`, JSON.stringify(guard));
    await fs.writeFile(`${path}.${guard.token}.new`, JSON.stringify(guard));
    const release = await takeLock(path);
    expect(await fs.readdir(folder)).toEqual(["lock"]);
    await release();
  });

  test.each(["", "not json", "{}", '{"pid":1,"host":"a","token":"../../x"}'])(
    "a file that is no lock (%j) is left alone",
    async (text) => {
      await fs.writeFile(path, text);
      await expect(takeLock(path)).rejects.toThrow(/is no lock of Striate/);
      expect(await fs.readFile(path, "utf8")).toBe(text);
    },
  );

  test("does not remove a lock that was taken from it", async () => {
    const release = await takeLock(path);
    await held({ pid: process.ppid });
    await release();
    expect(existsSync(path)).toBe(true);
  });

  test("is typed where no lock can be made", async () => {
    await expect(takeLock(join(folder, "none", "lock"))).rejects.toMatchObject({
      code: "run-write",
      cause: { code: "ENOENT" },
    });
  });
});
