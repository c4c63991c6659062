/** An op that leaks, changes its mind or differentiates wrongly is found whatever the backend. */

import { createCpuBackend } from "@striate/backend-cpu";
import { abs, add, full, keep, lt, mul, relu, type Tensor, where } from "@striate/core";
import { describe, expect, test } from "vitest";
import { checkForward, checkGradcheck, checkGradient, checkLeaks, expectationOf } from "./evaluate.js";
import { map, type NdArray } from "./reference/ndarray.js";
import { away, cycle, defineCases, type Sample, specials } from "./suite.js";
import { exact, moved, type Precision, precisions } from "./tolerance.js";

const sampleOf = (run: (x: Tensor) => Tensor): Sample => {
  const { samples } = defineCases<{ x: unknown }>({
    tolerance: exact,
    run: ({ x }) => run(x),
    reference: ({ x }) => map(x, (value) => 2 * value),
    samples: [{ name: "one", inputs: { x: away([5]) }, attrs: {} }],
  });
  return samples[0] as Sample;
};

const evaluate = async (run: (x: Tensor) => Tensor, dtype: "float32" | "float64" = "float32") => {
  const sample = sampleOf(run);
  const expectation = expectationOf(sample, "double/one#f32", dtype);
  return { sample, expectation, dtype, backend: await createCpuBackend(), precision: "ieee" } as const;
};

const right = (x: Tensor): Tensor => add(x, x);

describe("an op that is right", () => {
  test("passes every check", async () => {
    expect(await checkForward(await evaluate(right))).toEqual({ ratio: 0 });
    expect((await checkGradient(await evaluate(right))).ratio).toBeLessThan(1);
    expect((await checkGradcheck(await evaluate(right, "float64"))).ratio).toBeLessThan(1);
    await checkLeaks(await evaluate(right));
  });
});

describe("an op that is wrong", () => {
  test("leaks", async () => {
    const leaking = (x: Tensor): Tensor => {
      keep(mul(x, 3));
      return add(x, x);
    };
    await expect(checkLeaks(await evaluate(leaking))).rejects.toThrow(/tensors: \d alive after the case, 0 before it/);
  });

  test("in its values", async () => {
    await expect(checkForward(await evaluate((x) => mul(x, 2.0000005)))).rejects.toThrow(
      /output 0 \[\d\] is .*, expected/,
    );
  });

  test("in its gradient", async () => {
    const detached = (x: Tensor): Tensor => add(x, x.detach());
    await expect(checkGradient(await evaluate(detached))).rejects.toThrow(/d\/dx, probe \[\d\]/);
    await expect(checkGradcheck(await evaluate(detached, "float64"))).rejects.toThrow(/gradcheck/);
  });

  test("in its shape", async () => {
    const scalar = (x: Tensor): Tensor => relu(full([1], 1, { backend: x.backend }));
    await expect(checkForward(await evaluate(scalar))).rejects.toThrow("output 0 has shape [1], expected [5]");
  });
});

describe("an op that flushes subnormal numbers to zero", () => {
  const flushes = async (tolerance: typeof moved, precision: Precision): Promise<void> => {
    const { samples } = defineCases<{ x: unknown }>({
      tolerance,
      run: ({ x }) => where(lt(abs(x as Tensor), 2 ** -126), mul(x as Tensor, 0), x as Tensor),
      reference: ({ x }) => x as NdArray,
      samples: [{ name: "one", inputs: { x: cycle([specials.length], specials) }, attrs: {}, kind: "special" }],
    });
    const [sample] = samples as [Sample];
    const expectation = expectationOf(sample, "same/one#f32", "float32");
    await checkForward({ sample, expectation, dtype: "float32", backend: await createCpuBackend(), precision });
  };

  test.each([
    ["computes", exact, ["wgsl", "glsl"]],
    ["moves data", moved, ["glsl"]],
  ] as const)("where it %s, passes by the rules of these shaders alone", async (_does, tolerance, allowed) => {
    for (const precision of precisions)
      if (allowed.some((name) => name === precision)) await flushes(tolerance, precision);
      else await expect(flushes(tolerance, precision)).rejects.toThrow("expected 1.4");
  });
});
