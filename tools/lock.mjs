// A lock between processes, as a file that only one of them can create.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const beat = 2_000; // milliseconds between two signs of life of the owner
const silence = 15_000; // without a sign of life for so long, the owner is taken for dead

/** @param {number} pid */
const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
};

/**
 * @param {string} path
 * @returns {{ owner: string, dead: boolean } | undefined} undefined where no lock stands any more
 */
const inspect = (path) => {
  try {
    const silent = Date.now() - statSync(path).mtimeMs > silence;
    const [pid = "", host = ""] = readFileSync(path, "utf8").split(" ");
    return { owner: `process ${pid}`, dead: silent || (host === hostname() && !isAlive(Number(pid))) };
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT") return undefined;
    throw error;
  }
};

/**
 * Removes the lock of a dead owner. Of several that found it dead, one does so at a time and looks again first:
 * otherwise the second would remove the lock that the first has taken meanwhile.
 * @param {string} path
 */
const removeDead = (path) => {
  const guard = `${path}.remove`;
  try {
    mkdirSync(guard);
  } catch {
    if (Date.now() - statSync(guard).mtimeMs > silence) rmSync(guard, { recursive: true, force: true });
    return;
  }
  if (inspect(path)?.dead) rmSync(path, { force: true });
  rmSync(guard, { recursive: true, force: true });
};

/**
 * Waits until the lock at `path` is free and takes it. A lock whose owner died is taken over.
 * @param {string} path
 * @param {(owner: string) => void} onWait called once, if another process holds the lock
 * @returns {Promise<{ release: () => void }>}
 */
export const acquireLock = async (path, onWait) => {
  mkdirSync(dirname(path), { recursive: true });
  const content = `${process.pid} ${hostname()}`;
  let waited = false;
  for (;;) {
    try {
      writeFileSync(path, content, { flag: "wx" });
      break;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error;
    }
    const found = inspect(path);
    if (found === undefined) continue;
    if (found.dead) {
      removeDead(path);
    } else if (!waited) {
      onWait(found.owner);
      waited = true;
    }
    await sleep(100);
  }
  const heart = setInterval(() => {
    if (existsSync(path)) utimesSync(path, new Date(), new Date());
  }, beat);
  heart.unref();
  let held = true;
  return {
    release: () => {
      if (!held) return;
      held = false;
      clearInterval(heart);
      rmSync(path, { force: true });
    },
  };
};
