import { describe, expect, test } from "vitest";
import { attributes } from "./attributes.js";

const attrs = attributes("conv2d/000", {
  stride: 2,
  padding: [1, 2],
  dilation: [3],
  groups: "2",
  dim: [0, 1],
  mode: "reflect",
  all: null,
});

describe("attributes", () => {
  test("a pair may be one number, a list of one, two numbers, or missing", () => {
    expect(attrs.pair("stride", 1)).toEqual([2, 2]);
    expect(attrs.pair("padding", 0)).toEqual([1, 2]);
    expect(attrs.pair("dilation", 1)).toEqual([3, 3]);
    expect(attrs.pair("none", 7)).toEqual([7, 7]);
  });

  test("null is missing", () => {
    expect(attrs.dims("all")).toBeUndefined();
    expect(attrs.has("all")).toBe(false);
  });

  test.each([
    [() => attrs.number("groups", 1), 'conv2d/000: groups is "2", expected a number'],
    [
      () => attrs.pair("dim3", 1) && attributes("x", { p: [1, 2, 3] }).pair("p", 1),
      "x: p is [1,2,3], expected one number or two",
    ],
    [() => attrs.text("mode", ["constant"], "constant"), 'conv2d/000: mode is "reflect", expected constant'],
    [() => attrs.flag("stride", false), "conv2d/000: stride is 2, expected true or false"],
    [() => attrs.numbers("none"), "conv2d/000: none is nothing, expected a list"],
  ])("refuses the wrong type: %s", (get, message) => {
    expect(get).toThrow(message);
  });
});
