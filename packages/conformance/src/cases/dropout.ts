import * as core from "@striate/core";
import { randomWords } from "@striate/core";
import { ndarray, zip } from "../reference/ndarray.js";
import { defineCases, input, integers, typed } from "../suite.js";
import { withinUlps } from "../tolerance.js";

interface DropoutAttrs {
  readonly p: number;
  readonly seed: number;
  readonly stream?: number;
  readonly offset?: number;
}

export const dropout = defineCases<{ x: unknown }, DropoutAttrs>({
  tolerance: withinUlps(2),
  kernels: ["randomBits"],
  run: ({ x }, attrs) => core.dropout(x, attrs),
  reference: ({ x }, { p, seed, stream = 0, offset = 0 }) => {
    const words = randomWords(seed, stream, offset, x.data.length);
    const kept = ndarray(
      x.shape,
      Array.from(words, (word) => (word >>> 8 < Math.round((1 - p) * 2 ** 24) ? 1 : 0)),
    );
    return zip([x, kept], (value, keep) => (keep ? (p < 1 ? value / (1 - p) : value) : 0));
  },
  samples: [
    { name: "half", inputs: { x: input([4, 17]) }, attrs: { p: 0.5, seed: 1 } },
    {
      name: "p0.1-stream-offset",
      inputs: { x: input([2, 3, 5]) },
      attrs: { p: 0.1, seed: 123456789012345, stream: 3, offset: 77 },
    },
    { name: "none", inputs: { x: input([9]) }, attrs: { p: 0, seed: 1 } },
    { name: "all", inputs: { x: input([9]) }, attrs: { p: 1, seed: 1 } },
    { name: "zero-size", inputs: { x: input([0, 3]) }, attrs: { p: 0.5, seed: 1 }, kind: "zero-size" },
  ],
  errors: [
    { name: "p", code: "argument", inputs: { x: input([2]) }, attrs: { p: 1.5, seed: 1 } },
    { name: "seed", code: "argument", inputs: { x: input([2]) }, attrs: { p: 0.5, seed: -1 } },
    { name: "int", code: "dtype", inputs: { x: typed("int32", integers([2])) }, attrs: { p: 0.5, seed: 1 } },
  ],
});
