import { decode } from "fast-png";
import { describe, expect, test } from "vitest";
import {
  activationPicture,
  imagePicture,
  type Picture,
  saliencyPicture,
  toDataUrl,
  toPng,
  weightPicture,
} from "./pictures.js";

const at = ({ width, data }: Picture, x: number, y: number): number[] => {
  const begin = 4 * (y * width + x);
  return [...data.subarray(begin, begin + 3)];
};
const ramp = (size: number, from = -1): Float32Array => Float32Array.from({ length: size }, (_, i) => from + i);

test("a PNG has the picture's bytes", () => {
  const picture: Picture = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
  expect(decode(toPng(picture))).toMatchObject({ width: 2, height: 1, channels: 4, depth: 8 });
  expect([...decode(toPng(picture)).data]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(toDataUrl(picture)).toMatch(/^data:image\/png;base64,iVBOR/);
});

describe("weights", () => {
  test("filters over three channels are in colour, zero in grey, each in its own scale", () => {
    const values = Float32Array.of(2, 0, -2, 0, 0, 0, 1, 1, 1);
    const drawn = weightPicture([3, 3, 1, 1], values);
    expect(drawn).toMatchObject({ tiles: "filters", shown: 3, of: 3 });
    const { picture } = drawn as { picture: Picture };
    // Of 12 pixels each, and gaps that let the page through.
    expect([picture.width, picture.height]).toEqual([38, 12]);
    expect([picture.data[4 * 11 + 3], picture.data[4 * 12 + 3]]).toEqual([255, 0]);
    expect([at(picture, 0, 0), at(picture, 13, 11), at(picture, 26, 0)]).toEqual([
      [255, 128, 0],
      [128, 128, 128],
      [255, 255, 255],
    ]);
  });

  test("planes are red, green and blue, row by row", () => {
    const values = new Float32Array(12);
    // The green of the lower left pixel.
    values[4 + 2] = 1;
    const { picture } = weightPicture([1, 3, 2, 2], values) as { picture: Picture };
    expect(at(picture, 0, 1)).toEqual([128, 255, 128]);
    expect(at(picture, 1, 1)).toEqual([128, 128, 128]);
  });

  test("filters over other channels are rows of kernels, as many as fit", () => {
    const drawn = weightPicture([40, 50, 3, 3], ramp(40 * 50 * 9));
    expect(drawn).toMatchObject({ tiles: "kernels", shown: 16, of: 40 });
    expect(drawn?.picture).toMatchObject({ width: 32 * 13 - 1, height: 16 * 13 - 1 });
  });

  test("units that see a whole image are images, others a matrix", () => {
    const image = { channels: 3, height: 4, width: 5 };
    expect(weightPicture([2, 60], ramp(120), { image })).toMatchObject({
      tiles: "units",
      picture: { width: 21, height: 8 },
    });
    expect(weightPicture([2, 61], ramp(122), { image })).toMatchObject({
      tiles: "matrix",
      picture: { width: 61, height: 2 },
    });
  });

  test("signs have colours, and what is not finite has one of its own", () => {
    const { picture } = weightPicture([1, 4], Float32Array.of(-3, 0, 3, Number.NaN)) as { picture: Picture };
    const [low = [], zero = [], high = [], strange] = [0, 1, 2, 3].map((x) => at(picture, x, 0));
    expect((low[2] as number) > (low[0] as number)).toBe(true);
    expect((high[0] as number) > (high[2] as number)).toBe(true);
    expect(new Set(zero).size).toBe(1);
    expect(strange).toEqual([255, 0, 255]);
  });

  test("nothing but zeros is grey, not a division by zero", () => {
    const { picture } = weightPicture([1, 3, 2, 2], new Float32Array(12)) as { picture: Picture };
    expect([0, 1].flatMap((x) => [0, 1].map((y) => at(picture, x, y)))).toEqual(Array(4).fill([128, 128, 128]));
  });

  test.each([[[5]], [[]], [[2, 3, 4]], [[0, 3, 5, 5]], [[0, 4]]])("of shape %j are no picture", (shape) => {
    expect(weightPicture(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)))).toBeUndefined();
  });
});

describe("activations", () => {
  test("maps go from their lowest to their highest value", () => {
    const values = Float32Array.of(0, 1, 5, 9);
    const drawn = activationPicture([2, 1, 2], values) as { picture: Picture; shown: number; of: number };
    expect(drawn).toMatchObject({ shown: 2, of: 2, picture: { width: 25, height: 6 } });
    expect(at(drawn.picture, 0, 0)).toEqual(at(drawn.picture, 13, 0));
    expect(at(drawn.picture, 6, 0)).toEqual([253, 231, 37]);
  });

  test("vectors are strips, a map without spread is one colour", () => {
    expect(activationPicture([100], ramp(100))?.picture).toMatchObject({ width: 64, height: 2 });
    const { picture } = activationPicture([1, 2, 2], new Float32Array(4).fill(7)) as { picture: Picture };
    expect(new Set([0, 1].flatMap((x) => [0, 1].map((y) => at(picture, x, y).join()))).size).toBe(1);
  });

  test("of many channels the first are shown", () => {
    expect(activationPicture([100, 2, 2], ramp(400))).toMatchObject({ shown: 64, of: 100 });
  });

  test("that are empty are no picture", () => {
    expect(activationPicture([0, 2, 2], new Float32Array())).toBeUndefined();
    expect(activationPicture([2, 2], ramp(4))).toBeUndefined();
  });
});

test("images of datasets: planes to pixels, one channel in grey", () => {
  const images = Uint8Array.of(9, 9, 1, 2, 3, 4, 5, 6);
  const color = imagePicture({ images: images.subarray(2), channels: 3, height: 1, width: 2 }, 0);
  expect([...color.data]).toEqual([1, 3, 5, 255, 2, 4, 6, 255]);
  const grey = imagePicture({ images, channels: 1, height: 1, width: 2 }, 1);
  expect([...grey.data]).toEqual([1, 1, 1, 255, 2, 2, 2, 255]);
});

test("saliency is the largest magnitude over the channels", () => {
  const picture = saliencyPicture([2, 1, 3], Float32Array.of(0, -4, 1, 0, 2, -1));
  const [none, most, some] = [0, 1, 2].map((x) => at(picture, x, 0));
  expect(most).toEqual([253, 231, 37]);
  expect(none).toEqual([68, 1, 84]);
  expect(some).not.toEqual(none);
});
