/**
 * A file that only one living process holds. Unlike the lock of downloads in @striate/data, much depends on it, nobody
 * waits for it, and its holder may be busy for minutes: so there is no heartbeat, and taking over is free of races.
 */
import { randomUUID } from "node:crypto";
import fs, { constants } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { TrainingError } from "../errors.js";
import { systemCode, writeError } from "./system-errors.js";

export interface Holder {
  readonly pid: number;
  /** When the process began, as far as the system tells: a pid comes round again. */
  readonly started: string | null;
  readonly host: string;
  /** Of this one lock. */
  readonly token: string;
}

/** Field 22 of proc_pid_stat(5), in ticks since the machine began, with the machine's own beginning. */
const startOf = async (pid: number): Promise<string | null> => {
  try {
    const [stat, boot] = await Promise.all([
      fs.readFile(`/proc/${pid}/stat`, "utf8"),
      fs.readFile("/proc/sys/kernel/random/boot_id", "utf8"),
    ]);
    // The name of the program, in parentheses, may have spaces and parentheses in it.
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return ticks === undefined ? null : `${boot.trim()}/${ticks}`;
  } catch {
    return null;
  }
};

const isAlive = async ({ pid, started, host }: Holder): Promise<boolean> => {
  // What runs on another machine cannot be seen from here.
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if (systemCode(error) !== "EPERM") return false;
  }
  const now = await startOf(pid);
  return started === null || now === null || started === now;
};

/** undefined where there is no lock. @throws TrainingError (run-locked) for a file that is none */
const readHolder = async (path: string): Promise<Holder | undefined> => {
  let text: string;
  try {
    text = await fs.readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw writeError(path, error);
  }
  try {
    const { pid, started, host, token } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid === "number" && typeof host === "string" && /^[\da-f-]{36}$/.test(token ?? ""))
      return { pid, started: started ?? null, host, token: token as string };
  } catch {
    // Reported below.
  }
  throw new TrainingError("run-locked", `${path} is no lock of Striate; remove it if no process trains in its folder`);
};

/** File systems without hard links say so in these ways. */
const cannotLink: ReadonlySet<string | undefined> = new Set(["EPERM", "ENOTSUP", "ENOSYS", "EOPNOTSUPP"]);

/** Puts the whole lock there at once, or finds another. */
const tryCreate = async (path: string, holder: Holder): Promise<boolean> => {
  const draft = `${path}.${holder.token}.new`;
  try {
    await fs.writeFile(draft, JSON.stringify(holder), { flag: "wx" });
    await fs.link(draft, path).catch((error: unknown) => {
      if (!cannotLink.has(systemCode(error))) throw error;
      return fs.copyFile(draft, path, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw writeError(path, error);
  } finally {
    await fs.rm(draft, { force: true }).catch(() => undefined);
  }
};

/** What processes left that died while they took a lock. The caller has the lock. */
const sweep = async (path: string): Promise<void> => {
  for (const name of await fs.readdir(dirname(path))) {
    if (!name.startsWith(`${basename(path)}.`)) continue;
    const left = join(dirname(path), name);
    const holder = await readHolder(left).catch(() => undefined);
    if (holder && !(await isAlive(holder))) await fs.rm(left, { force: true });
  }
};

const acquire = async (path: string, holder: Holder): Promise<void> => {
  while (!(await tryCreate(path, holder))) {
    const other = await readHolder(path);
    if (!other) continue;
    if (await isAlive(other))
      throw new TrainingError(
        "run-locked",
        `${dirname(path)} is in use: process ${other.pid} on ${other.host} trains in it; ` +
          `if that is not so, remove ${basename(path)}`,
      );
    await removeStale(path, other.token, holder);
  }
};

/**
 * Removes the lock of a process that is gone, unless another has come in its place meanwhile. Only who holds a lock named
 * after it may do so; the holder of that may die too, and be replaced likewise.
 *
 * @throws TrainingError (run-locked) while another process does the same
 */
export const removeStale = async (path: string, token: string, holder: Holder): Promise<void> => {
  const guard = `${path}.${token}`;
  await acquire(guard, { ...holder, token: randomUUID() });
  try {
    if ((await readHolder(path))?.token === token) await fs.rm(path);
  } finally {
    await fs.rm(guard, { force: true });
  }
};

/** This process. */
export const holderHere = async (): Promise<Holder> => ({
  pid: process.pid,
  started: await startOf(process.pid),
  host: hostname(),
  token: randomUUID(),
});

/**
 * Takes the lock `path`, from a process that is gone if need be.
 *
 * @returns what gives it back.
 * @throws TrainingError `run-locked` when another process has it, or this one; `run-write`
 */
export const takeLock = async (path: string): Promise<() => Promise<void>> => {
  const holder = await holderHere();
  await acquire(path, holder);
  await sweep(path);
  return async () => {
    const left = await readHolder(path).catch(() => undefined);
    if (left?.token === holder.token) await fs.rm(path, { force: true });
  };
};
