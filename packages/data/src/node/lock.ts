import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { DataError } from "../errors.js";
import { errorCode, writeError } from "./system-errors.js";

// A lock of our own: proper-lockfile patches process.emit when it is imported and throws from a timer when a lock is
// compromised. Nothing depends on this lock for correctness: files are verified and renamed into place whole, so two
// holders would only do the same work twice.

export interface LockOptions {
  /** Milliseconds to wait for another holder. */
  readonly timeout?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called once if there is something to wait for. */
  readonly onWait?: () => void;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
}

const beat = 5_000;
/** A holder that has not touched its lock for so long is taken for dead, whatever its pid says. */
const staleAfter = 60_000;
const pollEvery = 250;
const defaultTimeout = 15 * 60_000;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return errorCode(error) === "EPERM";
  }
};

const parseHolder = (text: string): Holder | undefined => {
  try {
    const { pid, host, token } = JSON.parse(text) as Partial<Holder>;
    return typeof pid === "number" && typeof host === "string" && typeof token === "string"
      ? { pid, host, token }
      : undefined;
  } catch {
    return undefined;
  }
};

/** Who holds the lock, and whether it has been abandoned; undefined once the lock is gone. */
const inspect = async (path: string): Promise<{ holder: Holder | undefined; stale: boolean } | undefined> => {
  try {
    const [text, status] = [await fs.readFile(path, "utf8"), await fs.stat(path)];
    const holder = parseHolder(text);
    const dead = holder !== undefined && holder.host === hostname() && !isAlive(holder.pid);
    return { holder, stale: dead || Date.now() - status.mtimeMs > staleAfter };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw writeError(path, error);
  }
};

/** True if the lock is ours now, false if somebody has it. */
const tryAcquire = async (path: string, holder: Holder): Promise<boolean> => {
  try {
    await fs.writeFile(path, JSON.stringify(holder), { flag: "wx" });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw writeError(path, error);
  }
};

/**
 * Runs `work` while holding the lock file `path`. A lock whose process is gone, or that has not been touched for a
 * minute, is taken over.
 * @throws DataError `data-locked` when another process holds it beyond the timeout, `data-write` where no lock can be made
 */
export const withLock = async <T>(
  path: string,
  work: () => Promise<T>,
  { timeout = defaultTimeout, signal, onWait }: LockOptions = {},
): Promise<T> => {
  const holder: Holder = { pid: process.pid, host: hostname(), token: randomUUID() };
  let waited = 0;
  while (!(await tryAcquire(path, holder))) {
    const other = await inspect(path);
    if (other === undefined) continue;
    if (other.stale) {
      await fs.rm(path, { force: true });
      continue;
    }
    if (waited >= timeout)
      throw new DataError(
        "data-locked",
        `${path} is held by process ${other.holder?.pid ?? "unknown"} on ${other.holder?.host ?? "an unknown host"}; ` +
          "remove the file if that process is gone",
      );
    if (waited === 0) onWait?.();
    await sleep(pollEvery, undefined, signal === undefined ? {} : { signal });
    waited += pollEvery;
  }
  const heart = setInterval(() => {
    const now = new Date();
    fs.utimes(path, now, now).catch(() => undefined);
  }, beat);
  heart.unref();
  try {
    return await work();
  } finally {
    clearInterval(heart);
    const left = await inspect(path).catch(() => undefined);
    if (left?.holder?.token === holder.token) await fs.rm(path, { force: true }).catch(() => undefined);
  }
};
