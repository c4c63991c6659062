import { expect, test } from "vitest";
import { CheckpointError } from "./errors.js";
import { elementsOfViews, type StridedView, TorchStorage } from "./torch-pickle.js";

const bools = (offset: number, count: number, stride = 1): StridedView => ({
  storage: new TorchStorage("0", "BOOL", 1000),
  dtype: "BOOL",
  shape: [count],
  stride: [stride],
  offset,
});

test("bools that thousands of tensors share are looked at once", () => {
  let searched = 0;
  /** Zeros that count the bytes of theirs that are searched. */
  const bytes = new Uint8Array(1000);
  const watch = (part: Uint8Array): Uint8Array =>
    Object.defineProperty(part, "findIndex", {
      value: () => {
        searched += part.length;
        return -1;
      },
    });
  bytes.subarray = (begin, end) => watch(Uint8Array.prototype.subarray.call(bytes, begin, end)) as typeof bytes;
  const views = Array.from({ length: 5000 }, (_, i) => bools(i % 7, 990 - (i % 11)));
  expect(elementsOfViews(views, bytes).map(({ length }) => length)).toEqual(views.map(({ shape: [n] }) => n));
  expect(searched).toBeGreaterThan(990);
  expect(searched).toBeLessThanOrEqual(1000);
});

test("a byte that is no bool is an error in the tensors that have it, and nothing to the others", () => {
  const bytes = new Uint8Array(1000);
  bytes[500] = 2;
  expect(elementsOfViews([bools(0, 500), bools(501, 499), bools(1, 500, 2)], bytes)).toHaveLength(3);
  for (const [view, element] of [
    [bools(100, 500), 400],
    [bools(500, 1), 0],
    [bools(0, 300, 2), 250],
  ] as const) {
    const act = (): unknown => elementsOfViews([bools(0, 500), view, bools(501, 499)], bytes);
    expect(act).toThrow(CheckpointError);
    expect(act).toThrow(`a bool tensor has 2 as element ${element}`);
  }
});
