import type { ActivationKind } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, specials, tensor } from "../testing/compare.js";
import { activationKernels } from "./activation.js";

const { compare } = await createComparison(activationKernels);

// alpha is rounded to float32, which is another half unit.
const kinds: readonly (readonly [ActivationKind, number, number])[] = [
  ["leakyRelu", 0.25, 0],
  ["leakyRelu", 0.01, 2],
  ["elu", 1, 1],
  ["elu", 0.3, 2],
  ["gelu", 1, 1],
  ["silu", 1, 1],
  ["softplus", 1, 1],
];

const finite = (value: number): number => (Number.isFinite(value) ? value : 0);

describe.each(kinds)("%s, alpha %f", (kind, alpha, ulps) => {
  const check = (x: HostTensor, gy: HostTensor) => {
    // gelu is computed in float32: Phi, which x multiplies, is off by a few units of 1.
    const ofX = kind === "gelu" ? (_: number, i: number) => finite(4e-7 * Math.abs(x.data[i] as number)) : 0;
    compare("activation", [x], [x], { kind, alpha }, { ulps, absolute: ofX });
    // The slope may cancel: a few units of its largest terms, which are near 1.
    const share = { gelu: 8e-7, silu: 1e-9, leakyRelu: 0, elu: 0, softplus: 0 }[kind];
    const absolute = (_: number, i: number) => finite(share * Math.abs(gy.data[i] as number));
    compare("activationGrad", [x, gy], [x], { kind, alpha }, { ulps, absolute });
  };

  test("sizes around those of vectors", () => {
    for (const size of edgeSizes) check(random([size], size, -6, 6), random([size], size + 1));
  });

  test("special values", () => {
    const x = tensor([specials.length], specials);
    check(x, random(x.shape, 3));
    check(random(x.shape, 3), x);
  });

  test("several tasks, far into both tails", () => {
    check(random([70001], 1, -20, 20), random([70001], 2));
    check(random([5003], 1, -120, 120), random([5003], 2));
  });
});

test("reluGrad passes gy where x is positive or NaN", () => {
  const x = tensor([5], [-1, 0, -0, 2, Number.NaN]);
  const gy = tensor([5], [1, 2, 3, 4, 5]);
  const [gx] = compare("reluGrad", [x, gy], [x], {});
  expect([...(gx as Float32Array)]).toEqual([0, 0, 0, 4, 5]);
  for (const size of [...edgeSizes, 70001])
    compare("reluGrad", [random([size], 1), random([size], 2)], [{ shape: [size], dtype: "float32" }], {});
});

describe("clamp", () => {
  test("float32", () => {
    for (const size of [...edgeSizes, 70001]) {
      const x = random([size], size);
      compare("clamp", [x], [x], { min: -0.5, max: 1.1 });
    }
    const x = tensor([specials.length], specials);
    for (const [min, max] of [
      [-1, 1],
      [0, Number.POSITIVE_INFINITY],
      [Number.NEGATIVE_INFINITY, 0],
    ] as const)
      compare("clamp", [x], [x], { min, max });
  });

  test("int32 and uint8", () => {
    const x = tensor([5], [-(2 ** 31), -4, 0, 6, 2 ** 31 - 1], "int32");
    compare("clamp", [x], [x], { min: -3, max: 5 });
    compare("clamp", [x], [x], { min: -(2 ** 31), max: 2 ** 31 - 1 });
    const bytes = random([259], 1, 0, 256, "uint8");
    compare("clamp", [bytes], [bytes], { min: 3, max: 200 });
  });
});
