import { inflateSync } from "node:zlib";
import { ArgumentError } from "@striate/core";
import type { DecodedPng } from "fast-png";
import { convertIndexedToRgb, decode as decodePng } from "fast-png";
import { decode as decodeJpeg, type RawImageData } from "jpeg-js";
import { expectCount } from "../arguments.js";
import { DataError } from "../errors.js";
import type { Picture } from "../picture.js";
import { exifOrientation, orientPicture } from "./exif.js";
import { errorCode, messageOf } from "./system-errors.js";

export interface DecodeImageOptions {
  /** 3: red, green, blue; 1: grey. Pictures of the other kind are converted. Default 3. */
  readonly channels?: 1 | 3 | undefined;
  /** For messages: the path of the file. Default "image". */
  readonly name?: string | undefined;
  /** Larger pictures are refused before they are decoded. Default 2^26 (8192 x 8192). */
  readonly maxPixels?: number | undefined;
}

/** Interleaved samples. */
interface Samples {
  readonly data: Uint8Array;
  /** Samples a pixel; those behind the first 1 or 3 are not looked at. */
  readonly stride: number;
  readonly colour: boolean;
  readonly height: number;
  readonly width: number;
}

const expectPixels = (width: number, height: number, maxPixels: number): void => {
  if (width < 1 || height < 1) throw new Error(`it is ${width} x ${height}`);
  if (width * height > maxPixels) throw new Error(`it is ${width} x ${height}, expected at most ${maxPixels} pixels`);
};

// PNG ------------------------------------------------------------------------------------------------------------

const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** What an image cannot do without. The rest may hold anything, compressed profiles and texts too. */
const criticalChunks: ReadonlySet<string> = new Set(["IHDR", "PLTE", "IDAT", "IEND"]);

const samplesOfPixel: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** The file without its ancillary chunks, and the compressed data by itself. */
const readChunks = (bytes: Uint8Array): { critical: Uint8Array; header: DataView; compressed: Uint8Array } => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const kept = [bytes.subarray(0, 8)];
  const compressed: Uint8Array[] = [];
  let header: DataView | undefined;
  for (let at = 8; ; ) {
    if (at + 12 > bytes.length) throw new Error("it ends early");
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > bytes.length) throw new Error("it ends early");
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at === 8) {
      if (type !== "IHDR" || length !== 13) throw new Error("it has no header");
      header = new DataView(bytes.buffer, bytes.byteOffset + at + 8, 13);
    } else if (type === "IHDR") {
      // The decoder would believe the last one, and its size has not been looked at.
      throw new Error("it has two headers");
    }
    if (criticalChunks.has(type)) kept.push(bytes.subarray(at, end));
    if (type === "IDAT") compressed.push(bytes.subarray(at + 8, end - 4));
    at = end;
    if (type === "IEND") break;
  }
  return { critical: Buffer.concat(kept), header: header as DataView, compressed: Buffer.concat(compressed) };
};

/** The decoder inflates all there is; a few kilobytes can stand for gigabytes. */
const expectInflated = (compressed: Uint8Array, header: DataView): void => {
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const bits = header.getUint8(8) * (samplesOfPixel[header.getUint8(9)] ?? 4);
  // Each row has a byte for its filter; interlaced images have more rows, which are shorter.
  const bound = 2 * height * (1 + Math.ceil((width * bits) / 8)) + 1024;
  try {
    inflateSync(compressed, { maxOutputLength: bound });
  } catch (error) {
    if (errorCode(error) === "ERR_BUFFER_TOO_LARGE") throw new Error("it has more data than pixels");
    throw error;
  }
};

/** Samples of 1, 2 or 4 bits, packed from the left and each row by itself, as bytes from 0 to 255. */
const unpack = ({ data, depth, width, height }: DecodedPng): Uint8Array => {
  const row = Math.ceil((width * depth) / 8);
  const most = 2 ** depth - 1;
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const bit = (i % width) * depth;
    const byte = data[Math.floor(i / width) * row + (bit >> 3)] as number;
    return (((byte >> (8 - depth - (bit & 7))) & most) * 255) / most;
  });
};

const readPng = (bytes: Uint8Array, maxPixels: number): Samples => {
  const { critical, header, compressed } = readChunks(bytes);
  expectPixels(header.getUint32(0), header.getUint32(4), maxPixels);
  expectInflated(compressed, header);
  const png = decodePng(critical, { checkCrc: true });
  const { width, height, channels, depth, data, palette } = png;
  if (palette && channels === 1) return { data: convertIndexedToRgb(png), stride: 3, colour: true, height, width };
  const values =
    depth === 16 ? Uint8Array.from(data, (value) => value >> 8) : depth < 8 ? unpack(png) : new Uint8Array(data);
  if (values.length !== width * height * channels) throw new Error("it has less data than pixels");
  return { data: values, stride: channels, colour: channels >= 3, height, width };
};

// JPEG -----------------------------------------------------------------------------------------------------------

const jpegSignature = [0xff, 0xd8, 0xff];

const readJpeg = (bytes: Uint8Array, maxPixels: number): { samples: Samples; orientation: number } => {
  const decoded: RawImageData<Uint8Array> & { readonly exifBuffer?: Uint8Array | undefined } = decodeJpeg(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    tolerantDecoding: false,
    maxResolutionInMP: maxPixels / 1e6,
    maxMemoryUsageInMB: 4096,
  });
  const { data, width, height, exifBuffer } = decoded;
  expectPixels(width, height, maxPixels);
  return {
    samples: { data, stride: 3, colour: true, height, width },
    // The buffer still has the second 0 that ends the marker's name.
    orientation: exifBuffer ? exifOrientation(exifBuffer.subarray(1)) : 1,
  };
};

// Both -----------------------------------------------------------------------------------------------------------

const toPicture = ({ data, stride, colour, height, width }: Samples, channels: 1 | 3): Picture => {
  const plane = height * width;
  const pixels = new Uint8Array(channels * plane);
  for (let i = 0; i < plane; i++) {
    const at = i * stride;
    const first = data[at] as number;
    const [second, third] = colour ? [data[at + 1] as number, data[at + 2] as number] : [first, first];
    if (channels === 3) {
      pixels[i] = first;
      pixels[plane + i] = second;
      pixels[2 * plane + i] = third;
      // Luma of ITU-R BT.601, in the integers that Pillow has.
    } else pixels[i] = colour ? (first * 19595 + second * 38470 + third * 7471 + 0x8000) >> 16 : first;
  }
  return { pixels, channels, height, width };
};

const startsWith = (bytes: Uint8Array, signature: readonly number[]): boolean =>
  signature.every((byte, i) => bytes[i] === byte);

/**
 * A PNG or a JPEG, which is told by its first bytes and not by its name. Transparency is dropped, 16 bits become 8, and
 * a photograph is turned upright as its camera says (EXIF).
 * @throws DataError (data-corrupt) naming the image: another format, damaged, too many pixels
 */
export const decodeImage = (bytes: Uint8Array, options: DecodeImageOptions = {}): Picture => {
  const { channels = 3, name = "image", maxPixels = 2 ** 26 } = options;
  if (channels !== 1 && channels !== 3)
    throw new ArgumentError(`decodeImage: channels is ${channels}, expected 1 or 3`);
  expectCount("decodeImage", "maxPixels", maxPixels, 1);
  const format = startsWith(bytes, pngSignature) ? "PNG" : startsWith(bytes, jpegSignature) ? "JPEG" : undefined;
  if (!format)
    throw new DataError("data-corrupt", `${name} is neither a PNG nor a JPEG; convert it to one of them first`);
  try {
    if (format === "PNG") return toPicture(readPng(bytes, maxPixels), channels);
    const { samples, orientation } = readJpeg(bytes, maxPixels);
    return orientPicture(toPicture(samples, channels), orientation);
  } catch (error) {
    throw new DataError("data-corrupt", `${name} cannot be read as a ${format}: ${messageOf(error)}`, { cause: error });
  }
};
