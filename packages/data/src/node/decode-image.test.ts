import { crc32, deflateSync } from "node:zlib";
import { ArgumentError } from "@striate/core";
import fc from "fast-check";
import { encode } from "fast-png";
import { describe, expect, test } from "vitest";
import { DataError } from "../errors.js";
import { bytesOf, pillow, wavePicture } from "../testing/pillow.js";
import { decodeImage } from "./decode-image.js";
import { exifOrientation, orientPicture } from "./exif.js";

const worst = (a: Uint8Array, b: Uint8Array): number =>
  a.length === b.length ? a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0) : 256;

describe("decodeImage", () => {
  test.each(pillow.files)("reads what Pillow reads: $name", ({ name, file, size: [height, width], rgb, grey }) => {
    const colour = decodeImage(bytesOf(file));
    expect(colour).toMatchObject({ channels: 3, height, width });
    // Decoders of JPEG may differ in their last bits.
    const slack = name.startsWith("JPEG") ? 2 : 0;
    expect(worst(colour.pixels, bytesOf(rgb))).toBeLessThanOrEqual(slack);
    const single = decodeImage(bytesOf(file), { channels: 1 });
    expect(single).toMatchObject({ channels: 1, height, width });
    expect(worst(single.pixels, bytesOf(grey))).toBeLessThanOrEqual(slack);
  });

  test("takes a view into a larger buffer", () => {
    const [{ file, rgb }] = pillow.files as [(typeof pillow.files)[number]];
    const bytes = bytesOf(file);
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 7);
    expect(decodeImage(larger.subarray(7, 7 + bytes.length)).pixels).toEqual(bytesOf(rgb));
  });

  test.each([
    ["nothing", []],
    ["a GIF", [0x47, 0x49, 0x46, 0x38]],
    ["a text", [...new TextEncoder().encode("<svg></svg>")]],
  ])("names what is neither: %s", (_, bytes) => {
    const act = (): unknown => decodeImage(Uint8Array.from(bytes), { name: "cat/7.png" });
    expect(act).toThrow(DataError);
    expect(act).toThrow("cat/7.png is neither a PNG nor a JPEG");
  });

  test("damaged files are errors that name them, or pictures of the right size", () => {
    const sound = pillow.files.map(({ file, size }) => ({ bytes: bytesOf(file), size }));
    fc.assert(
      fc.property(fc.constantFrom(...sound), fc.double({ min: 0, max: 0.999 }), fc.nat(255), (file, at, change) => {
        const { bytes } = file;
        const place = Math.floor(at * bytes.length);
        const flipped = Uint8Array.from(bytes, (byte, i) => (i === place ? byte ^ change : byte));
        for (const damaged of [flipped, bytes.subarray(0, place)])
          try {
            const { pixels, height, width } = decodeImage(damaged, { name: "x.png", maxPixels: 10_000 });
            expect(pixels).toHaveLength(3 * height * width);
          } catch (error) {
            expect(error).toBeInstanceOf(DataError);
            expect((error as DataError).code).toBe("data-corrupt");
            expect((error as DataError).message).toMatch(/^x\.png /);
          }
      }),
      { numRuns: 400 },
    );
  });

  test("a PNG that was cut or changed is never taken", () => {
    const [{ file }] = pillow.files as [(typeof pillow.files)[number]];
    const bytes = bytesOf(file);
    for (let length = 8; length < bytes.length; length++)
      expect(() => decodeImage(bytes.subarray(0, length))).toThrow("cannot be read as a PNG");
  });

  const chunk = (type: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = (width: number, height: number): Uint8Array => {
    const data = Buffer.alloc(13);
    data.writeUInt32BE(width);
    data.writeUInt32BE(height, 4);
    data.set([8, 2, 0, 0, 0], 8);
    return data;
  };
  const png = (...chunks: Buffer[]): Uint8Array =>
    Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), ...chunks, chunk("IEND", new Uint8Array(0))]);

  test("refuses sizes that nobody could hold, before it decodes", () => {
    const huge = png(chunk("IHDR", header(2 ** 31 - 1, 2 ** 31 - 1)), chunk("IDAT", deflateSync(new Uint8Array(9))));
    expect(() => decodeImage(huge)).toThrow("it is 2147483647 x 2147483647, expected at most 67108864 pixels");
    const { pixels: _, ...size } = wavePicture([4, 5]);
    const small = encode({ ...size, data: new Uint8Array(60) });
    expect(() => decodeImage(small, { maxPixels: 19 })).toThrow("it is 5 x 4, expected at most 19 pixels");
    expect(decodeImage(small, { maxPixels: 20 }).width).toBe(5);
    const jpeg = bytesOf(pillow.files.find(({ name }) => name.startsWith("JPEG"))?.file as string);
    expect(() => decodeImage(jpeg, { maxPixels: 3 })).toThrow("cannot be read as a JPEG");
    expect(() => decodeImage(png(chunk("IHDR", header(0, 1))))).toThrow("it is 0 x 1");
  });

  test("refuses a second header, whose size nobody has looked at", () => {
    const pixel = chunk("IDAT", deflateSync(Uint8Array.of(0, 1, 2, 3)));
    const twice = png(chunk("IHDR", header(1, 1)), chunk("IHDR", header(30_000, 30_000)), pixel);
    expect(() => decodeImage(twice)).toThrow("cannot be read as a PNG: it has two headers");
  });

  test("refuses to inflate what stands for gigabytes", () => {
    const bomb = deflateSync(new Uint8Array(2 ** 24));
    expect(() => decodeImage(png(chunk("IHDR", header(1, 1)), chunk("IDAT", bomb)))).toThrow(
      "it has more data than pixels",
    );
    // A profile is not looked at.
    const pixel = chunk("IDAT", deflateSync(Uint8Array.of(0, 1, 2, 3)));
    const profile = Buffer.concat([Buffer.from("x\0\0"), bomb]);
    expect([...decodeImage(png(chunk("IHDR", header(1, 1)), chunk("iCCP", profile), pixel)).pixels]).toEqual([1, 2, 3]);
  });

  test("refuses data for fewer rows than there are", () => {
    const short = png(chunk("IHDR", header(1, 2)), chunk("IDAT", deflateSync(Uint8Array.of(0, 1, 2, 3))));
    expect(() => decodeImage(short)).toThrow(DataError);
  });

  test("refuses bad options", () => {
    const bytes = bytesOf(pillow.files[0]?.file as string);
    expect(() => decodeImage(bytes, { channels: 2 as 1 })).toThrow(ArgumentError);
    expect(() => decodeImage(bytes, { maxPixels: 0 })).toThrow("decodeImage: maxPixels is 0");
  });
});

describe("EXIF", () => {
  const tiff = (little: boolean, value: number, tag = 0x0112): Uint8Array => {
    const view = new DataView(new ArrayBuffer(26));
    view.setUint16(0, little ? 0x4949 : 0x4d4d);
    view.setUint16(2, 42, little);
    view.setUint32(4, 8, little);
    view.setUint16(8, 1, little);
    view.setUint16(10, tag, little);
    view.setUint16(12, 3, little);
    view.setUint32(14, 1, little);
    view.setUint16(18, value, little);
    return new Uint8Array(view.buffer);
  };

  test.each([true, false])("reads the orientation, little-endian %s", (little) => {
    for (let value = 1; value <= 8; value++) expect(exifOrientation(tiff(little, value))).toBe(value);
  });

  test("what is damaged or absent is upright", () => {
    expect(exifOrientation(tiff(true, 9))).toBe(1);
    expect(exifOrientation(tiff(true, 6, 0x0100))).toBe(1);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(26), (bytes, length) => {
        expect(exifOrientation(tiff(true, 6).subarray(0, length))).toBeLessThanOrEqual(6);
        const orientation = exifOrientation(bytes);
        expect(orientation >= 1 && orientation <= 8).toBe(true);
      }),
    );
  });

  test.each([
    [1, "abc def"],
    [2, "cba fed"],
    [3, "fed cba"],
    [4, "def abc"],
    [5, "ad be cf"],
    [6, "da eb fc"],
    [7, "fc eb da"],
    [8, "cf be ad"],
  ])("orientation %d turns abc def into %s", (orientation, expected) => {
    const stored = { pixels: new TextEncoder().encode("abcdef"), channels: 1, height: 2, width: 3 };
    const upright = orientPicture(stored, orientation);
    const text = new TextDecoder().decode(upright.pixels);
    expect(text.match(new RegExp(`.{${upright.width}}`, "g"))?.join(" ")).toBe(expected);
  });
});
