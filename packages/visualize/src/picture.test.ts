import { ArgumentError } from "@striate/core";
import fc from "fast-check";
import { decode } from "fast-png";
import { describe, expect, test } from "vitest";
import { encodePng, enlarge, grid, overlay, type Picture, rangeOf, symmetricRange, toPicture } from "./picture.js";

const grey = (width: number, ...data: number[]): Picture => ({
  width,
  height: data.length / width,
  channels: 1,
  data: Uint8Array.from(data),
});

const pictures = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.constantFrom(1 as const, 3 as const))
  .chain(([width, height, channels]) =>
    fc
      .uint8Array({ minLength: width * height * channels, maxLength: width * height * channels })
      .map((data): Picture => ({ width, height, channels, data })),
  );

test("a PNG file holds the picture", () => {
  fc.assert(
    fc.property(pictures, (picture) => {
      const { width, height, channels, depth, data } = decode(encodePng(picture));
      expect({ width, height, channels, depth, data: [...data] }).toEqual({
        ...picture,
        depth: 8,
        data: [...picture.data],
      });
    }),
    { numRuns: 30 },
  );
});

describe("toPicture", () => {
  test("interleaves planes, on the values' own scale", () => {
    const values = [0, 1, 2, 3, 4, 5];
    expect(toPicture({ values, channels: 3, height: 1, width: 2 })).toEqual({
      width: 2,
      height: 1,
      channels: 3,
      data: Uint8Array.from([0, 102, 204, 51, 153, 255]),
    });
  });

  test("cuts off what lies outside of the scale; NaN is black, a scale without length grey", () => {
    const show = (values: number[], low: number, high: number) => [
      ...toPicture({ values, channels: 1, height: 1, width: values.length }, { low, high }).data,
    ];
    expect(show([-9, 0, 1, 9, Number.NaN, Number.POSITIVE_INFINITY], 0, 2)).toEqual([0, 0, 128, 255, 0, 255]);
    expect(show([7, 7], 7, 7)).toEqual([128, 128]);
  });

  test("wants a value for each pixel", () => {
    expect(() => toPicture({ values: [1, 2], channels: 3, height: 1, width: 1 })).toThrow(ArgumentError);
  });
});

test("ranges are those of the finite values", () => {
  expect(rangeOf([Number.NaN, 3, Number.NEGATIVE_INFINITY, -1])).toEqual({ low: -1, high: 3 });
  expect(rangeOf([Number.NaN])).toEqual({ low: 0, high: 0 });
  expect(symmetricRange([1, -4, 2])).toEqual({ low: -4, high: 4 });
});

describe("enlarge", () => {
  test("makes squares of pixels", () => {
    expect(enlarge(grey(2, 1, 2), 2)).toEqual(grey(4, 1, 1, 2, 2, 1, 1, 2, 2));
  });

  test.each([0, 1.5, -1, Number.NaN])("by %s is refused", (factor) => {
    expect(() => enlarge(grey(1, 1), factor)).toThrow(ArgumentError);
  });
});

describe("grid", () => {
  test("puts pictures side by side, gaps between and around", () => {
    expect(grid([grey(1, 1), grey(1, 2), grey(1, 3)], { columns: 2, gap: 1, background: 9 })).toEqual(
      // biome-ignore format: rows of pixels
      grey(5, 9, 9, 9, 9, 9,  9, 1, 9, 2, 9,  9, 9, 9, 9, 9,  9, 3, 9, 9, 9,  9, 9, 9, 9, 9),
    );
  });

  test("is about square by default, and keeps every picture", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), (count) => {
        const { width, height, data } = grid(
          Array.from({ length: count }, () => grey(1, 7)),
          { background: 0 },
        );
        expect(data.filter((value) => value === 7).length).toBe(count);
        expect(width - height).toBeLessThanOrEqual(2);
      }),
    );
  });

  test("refuses none, and different sizes", () => {
    expect(() => grid([])).toThrow("expected at least one picture");
    expect(() => grid([grey(1, 1), grey(2, 1, 1)])).toThrow("picture 1 is 2x1x1, the first 1x1x1");
    for (const [options, message] of [
      [{ columns: 0 }, "grid: columns is 0, expected an integer of at least 1"],
      [{ gap: 0.5 }, "grid: gap is 0.5"],
    ] as const) {
      expect(() => grid([grey(1, 1)], options)).toThrow(ArgumentError);
      expect(() => grid([grey(1, 1)], options)).toThrow(message);
    }
  });
});

describe("overlay", () => {
  test("is red where the map is high and blue where it is low", () => {
    const { data } = overlay(grey(2, 0, 0), { values: [-1, 1], height: 1, width: 2 }, 1);
    const [left, right] = [data.subarray(0, 3), data.subarray(3, 6)];
    expect(left[2]).toBeGreaterThan(Math.max(left[0] as number, left[1] as number));
    expect(right[0]).toBeGreaterThan(Math.max(right[1] as number, right[2] as number));
  });

  test("leaves the picture at opacity 0, whatever the map's size", () => {
    const map = { values: [1, 2, 3], height: 3, width: 1 };
    fc.assert(
      fc.property(pictures, (picture) => {
        const { data } = overlay(picture, map, 0);
        expect([...data]).toEqual(
          picture.channels === 3 ? [...picture.data] : [...picture.data].flatMap((value) => [value, value, value]),
        );
      }),
    );
  });

  test("wants a value for each place of the map", () => {
    expect(() => overlay(grey(1, 1), { values: [1], height: 2, width: 2 })).toThrow(ArgumentError);
    expect(() => overlay(grey(1, 1), { values: [], height: 0, width: 2 })).toThrow(ArgumentError);
    for (const opacity of [-0.1, 1.1, Number.NaN])
      expect(() => overlay(grey(1, 1), { values: [1], height: 1, width: 1 }, opacity)).toThrow(/^overlay: opacity is/);
  });
});
