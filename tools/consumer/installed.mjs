// Runs in a project that has the packed packages installed, with the names of all their entries: what is published
// loads, and passes the conformance suite.
import assert from "node:assert/strict";
import { createCpuBackend } from "@striate/backend-cpu";
import { runConformance, summaryLine } from "@striate/conformance";
import { bundledVectors, loadVectors } from "@striate/conformance/node";

for (const entry of process.argv.slice(2)) {
  if (entry.endsWith("/vitest")) continue; // loads within Vitest only
  assert.notEqual(Object.keys(await import(entry)).length, 0, `${entry} exports nothing`);
}

const vectors = await loadVectors(bundledVectors);
const { summary, results } = await runConformance({ name: "cpu", create: createCpuBackend, vectors });
const failed = results.filter(({ status }) => status === "failed").map(({ id, reason }) => `${id}: ${reason}`);
assert.equal(summary.failed, 0, failed.join("\n"));
assert.ok(summary.passed > 1000, `only ${summaryLine(summary)}`);
console.log(summaryLine(summary));
