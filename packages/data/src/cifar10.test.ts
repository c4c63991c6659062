import { describe, expect, test } from "vitest";
import { cifar10Binary, parseCifar10Binary } from "./cifar10.js";
import { DataError } from "./errors.js";

const record = (label: number, value: number): number[] => [label, ...new Array<number>(3072).fill(value)];

describe("parseCifar10Binary", () => {
  test("separates labels and images", () => {
    const { images, labels, count } = parseCifar10Binary(Uint8Array.from([...record(3, 7), ...record(9, 250)]));
    expect(count).toBe(2);
    expect([...labels]).toEqual([3, 9]);
    expect(images.length).toBe(2 * 3072);
    expect([images[0], images[3071], images[3072]]).toEqual([7, 7, 250]);
  });

  test("is undone by cifar10Binary", () => {
    const bytes = Uint8Array.from([...record(0, 1), ...record(5, 2)]);
    const { images, labels } = parseCifar10Binary(bytes);
    expect(cifar10Binary(images, labels)).toEqual(bytes);
  });

  test.each([0, 1, 3072, 3074, 30_729_999])("refuses %d bytes", (length) => {
    expect(() => parseCifar10Binary(new Uint8Array(length))).toThrow(DataError);
  });

  test("refuses a label above 9", () => {
    expect(() => parseCifar10Binary(Uint8Array.from(record(10, 0)))).toThrow("label of record 0 is 10");
  });
});

describe("cifar10Binary", () => {
  test("refuses sizes that do not fit", () => {
    expect(() => cifar10Binary(new Uint8Array(3072), [1, 2])).toThrow("3072 image bytes for 2 labels");
  });

  test.each([-1, 10, 1.5, Number.NaN])("refuses label %d", (label) => {
    expect(() => cifar10Binary(new Uint8Array(3072), [label])).toThrow(DataError);
  });
});
