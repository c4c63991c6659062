// Compiles the package in the current directory and removes what an earlier build left in dist/, so that no file
// whose source is gone is ever published. dist/ is not emptied first: a program that runs from it keeps its files.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { tools } from "./run.mjs";

const { status, stdout } = spawnSync(
  process.execPath,
  [...tools.tsc, "-p", "tsconfig.build.json", "--listEmittedFiles"],
  {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 64 * 1024 * 1024,
  },
);

const emitted = new Set();
const messages = [];
for (const line of stdout.split(/\r?\n/)) {
  if (line.startsWith("TSFILE: ")) emitted.add(resolve(line.slice("TSFILE: ".length)));
  else if (line !== "") messages.push(line);
}
if (messages.length > 0) console.error(messages.join("\n"));
if (status !== 0) process.exit(status ?? 1);

for (const entry of readdirSync("dist", { recursive: true, withFileTypes: true })) {
  const path = resolve(join(entry.parentPath, entry.name));
  if (entry.isFile() && !emitted.has(path)) rmSync(path);
}
