import { describe, expect, test } from "vitest";
import { runConformance } from "../run.js";
import { good, type Mutant, mutatedKernels, wrongBackends } from "./mutants.js";

const failuresOf = async (mutant: Mutant, create: typeof good): Promise<{ run: number; failed: readonly string[] }> => {
  const { results } = await runConformance({ name: mutant.name, create, filter: mutant.cases, timeout: 5000 });
  const run = results.filter(({ status }) => status !== "skipped");
  return { run: run.length, failed: run.flatMap(({ id, status }) => (status === "failed" ? [id] : [])) };
};

describe.each([
  ["wrong backends", wrongBackends],
  ["mutated kernels", mutatedKernels],
] as const)("%s", (_kind, mutants) => {
  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s", async (_name, mutant) => {
    const mutated = await failuresOf(mutant, async () => mutant.mutate(await good()));
    expect(mutated.run).toBeGreaterThan(0);
    expect(mutated.failed).not.toEqual([]);
    // The same cases pass on the backend that was broken: it is the mutation that was found.
    expect((await failuresOf(mutant, good)).failed).toEqual([]);
  });
});
