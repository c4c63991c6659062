import { ArgumentError } from "@striate/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { centreCrop, fitImage, type Picture, resizeImage } from "./picture.js";
import { bytesOf, pillow, wavePicture } from "./testing/pillow.js";

const side = fc.integer({ min: 1, max: 20 });
const size = fc.record({ height: side, width: side });

describe("resizeImage", () => {
  // Of the largest results the first 200 bytes.
  test.each(pillow.resized)("gives Pillow's bytes: $from to $to", ({ from, to: [height, width], pixels }) => {
    const resized = resizeImage(wavePicture(from), { height, width });
    expect(resized).toMatchObject({ channels: 3, height, width });
    expect(resized.pixels.subarray(0, 200)).toEqual(bytesOf(pixels));
    expect(resized.pixels).toHaveLength(3 * height * width);
  });

  test("keeps a picture of one colour, and of the same size", () => {
    fc.assert(
      fc.property(size, size, fc.nat(255), (from, to, value) => {
        const plain = { pixels: new Uint8Array(2 * from.height * from.width).fill(value), channels: 2, ...from };
        expect(new Set(resizeImage(plain, to).pixels)).toEqual(new Set([value]));
        const wave = wavePicture([from.height, from.width]);
        expect(resizeImage(wave, from)).toEqual(wave);
      }),
    );
  });

  test("averages when it halves", () => {
    const picture: Picture = { pixels: Uint8Array.of(0, 100, 200, 100), channels: 1, height: 1, width: 4 };
    // Triangles 4 wide: (3·0 + 3·100 + 1·200) / 7, and its neighbours: (1·100 + 3·200 + 3·100) / 7.
    expect([...resizeImage(picture, { height: 1, width: 2 }).pixels]).toEqual([71, 143]);
  });
});

describe("centreCrop and fitImage", () => {
  test.each(pillow.fitted)("are torchvision's Resize and CenterCrop: $from to $size", ({ from, size, pixels }) => {
    expect(fitImage(wavePicture(from), size).pixels).toEqual(bytesOf(pixels));
  });

  test("give what was asked for", () => {
    fc.assert(
      fc.property(size, size, (from, to) => {
        const fitted = fitImage(wavePicture([from.height, from.width]), to);
        expect(fitted).toMatchObject(to);
        expect(fitted.pixels).toHaveLength(3 * to.height * to.width);
      }),
    );
  });

  test("fitting is resizing, then cropping", () => {
    fc.assert(
      fc.property(size, side, (from, side) => {
        const wave = wavePicture([from.height, from.width]);
        const shorter = Math.min(from.height, from.width);
        const cover = {
          height: Math.floor((from.height * side) / shorter),
          width: Math.floor((from.width * side) / shorter),
        };
        const square = { height: side, width: side };
        expect(fitImage(wave, side)).toEqual(centreCrop(resizeImage(wave, cover), square));
      }),
    );
  });

  test("a strip takes no more memory than it has and is asked for", () => {
    const strip = (height: number, width: number): Picture => ({
      pixels: new Uint8Array(height * width).fill(7),
      channels: 1,
      height,
      width,
    });
    // Covered whole, 300 x 900,000,000 pixels.
    for (const picture of [strip(1, 3_000_000), strip(3_000_000, 1)])
      expect(new Set(fitImage(picture, 300).pixels)).toEqual(new Set([7]));
  });

  test("a crop is the middle", () => {
    const picture: Picture = { pixels: Uint8Array.from({ length: 15 }, (_, i) => i), channels: 1, height: 3, width: 5 };
    expect([...centreCrop(picture, { height: 1, width: 3 }).pixels]).toEqual([6, 7, 8]);
    expect(() => centreCrop(picture, { height: 4, width: 3 })).toThrow("the picture is 3x5, expected at least 4x3");
  });
});

test.each([resizeImage, fitImage, centreCrop])("%o refuses bad sizes", (act) => {
  const picture = wavePicture([2, 2]);
  for (const wrong of [0, -1, 1.5, Number.NaN]) {
    expect(() => act(picture, { height: wrong, width: 2 })).toThrow(ArgumentError);
    expect(() => act(picture, { height: 2, width: wrong })).toThrow(/width is/);
  }
  expect(() => act({ ...picture, channels: 2 }, { height: 1, width: 1 })).toThrow("12 bytes, expected 2 x 2 x 2 = 8");
});
