import { spawnSync } from "node:child_process";
import fs from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withLock } from "./lock.js";
import { temporaryFolder } from "./testing/fixtures.js";

const lockPath = async (): Promise<string> => join(await temporaryFolder(), "data.lock");
const content = (pid: number, host = hostname()): string => JSON.stringify({ pid, host, token: "other" });
/** Fresh for as long as the test may run. */
const touch = (path: string): Promise<void> => fs.utimes(path, new Date(), new Date("2099-01-01"));

/** The id of a process that was alive and is gone. */
const deadPid = (): number => spawnSync(process.execPath, ["-e", ""]).pid;

describe("withLock", () => {
  test("gives the result and leaves no lock, also after an error", async () => {
    const path = await lockPath();
    expect(await withLock(path, async () => 7)).toBe(7);
    await expect(withLock(path, () => Promise.reject(new Error("mine")))).rejects.toThrow("mine");
    await expect(fs.stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("one at a time, in the same process too", async () => {
    const path = await lockPath();
    let inside = 0;
    let waits = 0;
    const most: number[] = [];
    const work = async (): Promise<void> => {
      most.push(++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    };
    const options = { onWait: () => void waits++ };
    await Promise.all([withLock(path, work, options), withLock(path, work, options), withLock(path, work, options)]);
    expect(most).toEqual([1, 1, 1]);
    expect(waits).toBeGreaterThanOrEqual(1);
  });

  test("refuses while another live process holds it, and leaves its lock alone", async () => {
    const path = await lockPath();
    await fs.writeFile(path, content(process.ppid));
    await touch(path);
    await expect(withLock(path, async () => 7, { timeout: 0 })).rejects.toMatchObject({ code: "data-locked" });
    expect(await fs.readFile(path, "utf8")).toBe(content(process.ppid));
  });

  test("respects a holder on another host as long as its lock is fresh", async () => {
    const path = await lockPath();
    await fs.writeFile(path, content(deadPid(), "elsewhere"));
    await touch(path);
    await expect(withLock(path, async () => 7, { timeout: 0 })).rejects.toThrow("on elsewhere");
    await fs.utimes(path, new Date(0), new Date(0));
    expect(await withLock(path, async () => 7, { timeout: 0 })).toBe(7);
  });

  test("takes over the lock of a process that is gone", async () => {
    const path = await lockPath();
    await fs.writeFile(path, content(deadPid()));
    await touch(path);
    expect(await withLock(path, async () => 7, { timeout: 0 })).toBe(7);
  });

  test("takes over an old lock that nobody can read", async () => {
    const path = await lockPath();
    await fs.writeFile(path, "not json");
    await fs.utimes(path, new Date(0), new Date(0));
    expect(await withLock(path, async () => 7, { timeout: 0 })).toBe(7);
  });

  test("does not remove a lock that was taken from it", async () => {
    const path = await lockPath();
    await withLock(path, () => fs.writeFile(path, content(process.ppid)));
    expect(await fs.readFile(path, "utf8")).toBe(content(process.ppid));
  });

  test("stops waiting when the signal says so", async () => {
    const path = await lockPath();
    await fs.writeFile(path, content(process.ppid));
    await touch(path);
    const abort = new AbortController();
    await expect(
      withLock(path, async () => 7, { signal: abort.signal, onWait: () => abort.abort() }),
    ).rejects.toMatchObject({ name: "AbortError" });
  });

  test("is typed where no lock can be made", async () => {
    const folder = await temporaryFolder();
    await expect(withLock(join(folder, "none", "a.lock"), async () => 7)).rejects.toMatchObject({ code: "data-write" });
  });
});
