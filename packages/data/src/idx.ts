import { DataError } from "./errors.js";

/** idx, the format of MNIST: two zero bytes, 8 for uint8, the rank, the big-endian dimensions, the values. */
const parseIdx = (what: string, bytes: Uint8Array, rank: number): { shape: number[]; values: Uint8Array } => {
  const corrupt = (message: string): DataError => new DataError("data-corrupt", `idx ${what}: ${message}`);
  const headerSize = 4 + 4 * rank;
  if (bytes.length < headerSize) throw corrupt(`${bytes.length} bytes, expected at least ${headerSize}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  const expected = 0x0800 + rank;
  if (magic !== expected) throw corrupt(`magic number is ${magic}, expected ${expected}`);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((a, b) => a * b, 1);
  if (bytes.length !== headerSize + size)
    throw corrupt(`${bytes.length} bytes, expected ${headerSize + size} for ${shape.join(" x ")} values`);
  return { shape, values: bytes.slice(headerSize) };
};

/**
 * Reads `train-images-idx3-ubyte` and its kin: one channel.
 * @throws DataError (data-corrupt) unless magic number and size are exactly right
 */
export const parseIdxImages = (
  bytes: Uint8Array,
): { images: Uint8Array; count: number; height: number; width: number } => {
  const { shape, values } = parseIdx("images", bytes, 3);
  const [count, height, width] = shape as [number, number, number];
  return { images: values, count, height, width };
};

/**
 * Reads `train-labels-idx1-ubyte` and its kin.
 * @throws DataError (data-corrupt) unless magic number and size are exactly right
 */
export const parseIdxLabels = (bytes: Uint8Array): Uint8Array => parseIdx("labels", bytes, 1).values;
