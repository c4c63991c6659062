/** What a run ran on: whatever a second run would have to share to have the same numbers, and times. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Backend } from "@striate/core";
import type { ImageDataset } from "@striate/data";
import type { JsonObject } from "./config/merge.js";

const run = promisify(execFile);

const root = new URL("..", import.meta.url);

const version = (): string => JSON.parse(readFileSync(new URL("package.json", root), "utf8")).version as string;

/** Of the source, and whether it has changes; null outside of a repository. */
const commit = async (): Promise<JsonObject | null> => {
  const git = async (...args: string[]): Promise<string> =>
    (await run("git", ["-C", fileURLToPath(root), ...args], { timeout: 5000 })).stdout.trim();
  try {
    return { hash: await git("rev-parse", "HEAD"), changed: (await git("status", "--porcelain", "-uno")) !== "" };
  } catch {
    return null;
  }
};

/** SHA-256 of images, then labels. */
const digest = ({ images, labels }: ImageDataset): string =>
  createHash("sha256").update(images).update(labels).digest("hex");

export const environmentOf = async (
  backend: Backend,
  seed: number,
  datasets: Readonly<Record<string, ImageDataset>>,
  fastDevRun = false,
): Promise<JsonObject> => ({
  startedAt: new Date().toISOString(),
  version: version(),
  commit: await commit(),
  node: process.versions.node,
  v8: process.versions.v8,
  platform: process.platform,
  arch: process.arch,
  cpu: cpus()[0]?.model.trim() ?? null,
  cores: availableParallelism(),
  memory: totalmem(),
  backend: backend.name,
  device: backend.description ?? null,
  seed,
  ...(fastDevRun && { fastDevRun }),
  data: Object.fromEntries(
    Object.entries(datasets).map(([split, dataset]) => [
      split,
      { name: dataset.name, images: dataset.count, sha256: digest(dataset) },
    ]),
  ),
});

/** `known` of a run, and what is otherwise `now`, where it is gone on with behind `step`: as one more of `resumed`. */
export const withResumption = (known: JsonObject, now: JsonObject, step: number): JsonObject => {
  const { resumed, ...start } = known;
  const other = Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(start[name]));
  return { ...start, resumed: [...(Array.isArray(resumed) ? resumed : []), { step, ...Object.fromEntries(other) }] };
};
