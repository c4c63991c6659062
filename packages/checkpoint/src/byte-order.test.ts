import { expect, test } from "vitest";
import { reverseElements } from "./byte-order.js";

test("reverseElements reverses the bytes of every element and leaves the input alone", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  expect([...reverseElements(bytes, 2)]).toEqual([2, 1, 4, 3, 6, 5, 8, 7]);
  expect([...reverseElements(bytes, 4)]).toEqual([4, 3, 2, 1, 8, 7, 6, 5]);
  expect([...reverseElements(bytes, 8)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
  expect([...bytes]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});
