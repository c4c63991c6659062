import * as core from "@striate/core";
import { map } from "../reference/ndarray.js";
import { defineCases, fixed, input, integers, type OpCases, typed } from "../suite.js";
import { exact } from "../tolerance.js";

interface FillAttrs {
  readonly value: number;
}

const likeCases = (run: (x: core.Tensor, value: number) => core.Tensor, values: readonly number[]): OpCases =>
  defineCases<{ x: unknown }, FillAttrs>({
    tolerance: exact,
    differentiable: false,
    run: ({ x }, { value }) => run(x, value),
    reference: ({ x }, { value }) => map(x, () => value),
    samples: values.flatMap((value) => [
      ...[[], [17], [2, 3, 4]].map((shape) => ({
        name: `${shape.join("x") || "scalar"}-${value}`,
        inputs: { x: input(shape) },
        attrs: { value },
      })),
      {
        name: `int-${value}`,
        inputs: { x: typed("int32", fixed(integers([5]))) },
        attrs: { value: Math.trunc(value) },
        dtypes: ["int32"] as const,
      },
      { name: `zero-size-${value}`, inputs: { x: input([0, 2]) }, attrs: { value }, kind: "zero-size" as const },
    ]),
  });

export const fullLike = likeCases(core.fullLike, [-2.5, 3]);
export const zerosLike = likeCases((x) => core.zerosLike(x), [0]);
export const onesLike = likeCases((x) => core.onesLike(x), [1]);
