import { expect, test } from "vitest";
import { matcher } from "./match.js";

test.each([
  ["conv2d", "ops:conv2d/3x3#f32", true],
  ["conv2d", "ops:convTranspose2d/3x3#f32", false],
  ["ops:conv2d/*#f32", "ops:conv2d/3x3#f32", true],
  ["ops:conv2d/*#f32", "ops:conv2d/3x3#f64", false],
  ["ops:*", "gradients:conv2d/3x3#f64", false],
  ["conv2d/*#f32", "ops:conv2d/3x3#f32", true],
  ["conv2d*", "gradients:conv2d/3x3#f32", true],
  ["*", "anything", true],
  ["a.c*", "abc", false],
  ["f(x)*", "f(x)=y", true],
])("%s over %s: %s", (pattern, id, matches) => {
  expect(matcher(pattern)(id)).toBe(matches);
});
