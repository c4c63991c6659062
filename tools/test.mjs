// `npm test`: every check that a change must pass, in the order in which they are cheap. `npm test -- unit size` runs
// some of them. All run, also behind a failed one; the last line counts tests, each other step as one.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { installPacked, link, mustRun } from "./packed.mjs";
import { installed, root, run, seconds, turbo } from "./run.mjs";
import { checkSizes } from "./size.mjs";

const tsc = installed("typescript/lib/tsc.js");
const scratch = mkdtempSync(join(tmpdir(), "striate-test-"));

/** A step that does not apply here. */
class Skip extends Error {}

/** @typedef {{ passed: number, failed: number, skipped: number, output?: string }} Counts */

/** @type {Promise<import("./packed.mjs").Packed[]> | undefined} */
let packedOnce;
const project = join(scratch, "consumer");
const packed = () => {
  packedOnce ??= turboTask("build").then(() => {
    writeFileSync(join(mkdir(project), "package.json"), '{ "private": true, "type": "module" }\n');
    return installPacked(project);
  });
  return packedOnce;
};
