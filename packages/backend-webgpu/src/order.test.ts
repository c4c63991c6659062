/** Updates wait, buffers are shared and taken again: whatever the order of calls, results are those of doing each at once. */
import { pointwise, type Tensor, tensor } from "@striate/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createWebGpuBackend, type WebGpuBackend } from "./index.js";
import { withAdapter } from "./testing/adapter.js";

/** Tensors repeat a short pattern: buffers of a few bytes are not taken again at once. */
const PATTERN = 8;
const SIZE = 600 * PATTERN;
const SLOTS = 6;
type Values = readonly number[];

/** What is done to slots a and b, on numbers and on tensors. Small integers, so that nothing is rounded. */
interface Deed {
  readonly numbers: (a: Values, b: Values) => readonly Values[];
  readonly tensors: (a: Tensor, b: Tensor) => readonly Tensor[];
}

const each = (f: (x: number, y: number) => number, a: Values, b: Values): Values =>
  a.map((x, i) => f(x, b[i] as number));

const deeds: Readonly<Record<string, Deed>> = {
  update: {
    numbers: (a, b) => [each((x, y) => Math.min(x - y, 9), a, b), each((x, y) => Math.max(x, y), a, b)],
    tensors: (a, b) => pointwise([a, b], (x, y) => [x.sub(y).minimum(9), x.maximum(y)]),
  },
  move: {
    numbers: (a, b) => [each((x, y) => Math.max(x + y, -7), a, b)],
    tensors: (a, b) => pointwise([a, b], (x, y) => [x.add(y).maximum(-7)]),
  },
  // Its result lies in an arena too, where updates find gradients.
  gradient: {
    numbers: (a) => [a],
    tensors: (a) => [a.reshape([1, SIZE]).sum([0])],
  },
  // Its does not.
  activate: {
    numbers: (a) => [a.map((x) => Math.max(x, 0))],
    tensors: (a) => [a.relu()],
  },
  combine: {
    numbers: (a, b) => [each((x, y) => Math.min(x, y), a, b)],
    tensors: (a, b) => [a.minimum(b)],
  },
};

const slot = fc.nat(SLOTS - 1);
const call = fc.record({ deed: fc.constantFrom(...Object.keys(deeds)), a: slot, b: slot, into: slot, other: slot });
const calls = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: call },
    { weight: 1, arbitrary: fc.record({ read: slot }) },
    {
      weight: 1,
      arbitrary: fc.record({
        write: slot,
        values: fc.array(fc.integer({ min: -5, max: 5 }), { minLength: PATTERN, maxLength: PATTERN }),
      }),
    },
  ),
  { maxLength: 80, size: "max" },
);

const start = (s: number): number[] => Array.from({ length: PATTERN }, (_, i) => ((i * 7 + s * 3) % 11) - 5);

const upload = (backend: WebGpuBackend, values: Values): Tensor =>
  tensor(
    Float32Array.from({ length: SIZE }, (_, i) => values[i % PATTERN] as number),
    { backend },
  );

/** The pattern; NaN where a repetition differs. */
const download = async (t: Tensor): Promise<Values> => {
  const data = await t.data();
  const values = Array.from(data.subarray(0, PATTERN));
  data.forEach((value, i) => {
    if (value !== values[i % PATTERN]) values[i % PATTERN] = Number.NaN;
  });
  return values;
};

withAdapter("order", () => {
  test("any sequence of calls gives what each of them gives alone", { timeout: 300_000 }, async () => {
    const backend: WebGpuBackend = await createWebGpuBackend();
    try {
      await fc.assert(
        fc.asyncProperty(calls, async (sequence) => {
          const numbers: Values[] = Array.from({ length: SLOTS }, (_, s) => start(s));
          const tensors = numbers.map((values) => upload(backend, values));
          const put = (s: number, value: Tensor): void => {
            tensors[s]?.dispose();
            tensors[s] = value;
          };
          for (const step of sequence) {
            if ("read" in step) expect(await download(tensors[step.read] as Tensor)).toEqual(numbers[step.read]);
            else if ("write" in step) {
              numbers[step.write] = step.values;
              put(step.write, upload(backend, step.values));
            } else {
              const { numbers: expected, tensors: run } = deeds[step.deed] as Deed;
              const values = expected(numbers[step.a] as Values, numbers[step.b] as Values);
              const results = run(tensors[step.a] as Tensor, tensors[step.b] as Tensor);
              [step.into, step.other].forEach((s, i) => {
                const result = results[i];
                if (!result) return;
                numbers[s] = values[i] as Values;
                put(s, result);
              });
            }
          }
          const found = await Promise.all(tensors.map(download));
          for (const t of tensors) t.dispose();
          expect(found).toEqual(numbers);
        }),
        { numRuns: 60 },
      );
    } finally {
      backend.dispose();
    }
  });
});
