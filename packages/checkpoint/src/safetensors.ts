/**
 * The safetensors format (https://huggingface.co/docs/safetensors): the length of the header as a little-endian
 * 64-bit integer, a header of JSON that gives every tensor's dtype, shape and place, then the elements.
 */
import { ArgumentError, DTypeError, ShapeError } from "@striate/core";
import { swapToLittleEndian } from "./byte-order.js";
import { CheckpointError, quote } from "./errors.js";
import { type Header, maxHeaderLength, metadataKey, parseHeader, type TensorEntry } from "./header.js";
import {
  byteLengthOf,
  carriers,
  findNonBool,
  formatShape,
  type HostTensor,
  isSafetensorsDType,
  uniqueEntries,
} from "./host-tensor.js";
import { isWellFormed } from "./json-reader.js";
import { memoryFor } from "./memory.js";
import type { TensorInfo, TensorReader } from "./tensor-reader.js";

/** Free text in the header, by key. */
export type Metadata = Readonly<Record<string, string>> | ReadonlyMap<string, string>;

export interface Safetensors {
  /** In the header's order. A Map, because any text is a legal name, `__proto__` included. */
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Map<string, string>;
}

const expectWellFormed = (what: string, text: unknown): void => {
  if (typeof text !== "string") throw new ArgumentError(`safetensors: ${what} is a ${typeof text}, expected a string`);
  if (!isWellFormed(text))
    throw new ArgumentError(`safetensors: ${what} ${quote(text)} has half a surrogate pair, which UTF-8 cannot hold`);
};

/** @throws ArgumentError, DTypeError, ShapeError unless a tensor may be written under this name; gives its size */
const expectInfo = (name: string, { dtype, shape }: TensorInfo): number => {
  expectWellFormed("a name", name);
  if (name === metadataKey) throw new ArgumentError(`safetensors: no tensor can have the name ${metadataKey}`);
  const what = `safetensors: tensor ${quote(name)}`;
  if (!isSafetensorsDType(dtype))
    throw new DTypeError(`${what} is ${String(dtype)}, expected one of ${Object.keys(carriers).join(" ")}`);
  const bytes = byteLengthOf(dtype, shape);
  if (bytes === undefined) throw new ShapeError(`${what}: ${formatShape(shape)} is no shape of any file`);
  return bytes;
};

/** @throws ArgumentError, DTypeError, ShapeError unless data and shape belong together */
const expectData = (name: string, tensor: HostTensor): void => {
  const what = `safetensors: tensor ${quote(name)}`;
  const { dtype, shape, data } = tensor;
  const carrier = carriers[dtype];
  // By tag, not by constructor: Node's Buffer and arrays of another realm carry the same bytes.
  const tag = Object.prototype.toString.call(data).slice("[object ".length, -1);
  if (tag !== carrier.name) throw new DTypeError(`${what}: data is ${tag}, but ${dtype} is carried by ${carrier.name}`);
  if (byteLengthOf(dtype, shape) !== data.byteLength)
    throw new ShapeError(`${what}: ${formatShape(shape)} is not the shape of its ${data.length} elements`);
  const wrong = findNonBool(tensor);
  if (wrong >= 0) throw new ArgumentError(`${what}: element ${wrong} is ${data[wrong]}, expected 0 or 1 for BOOL`);
};

const bytesOf = ({ data }: HostTensor): Uint8Array =>
  swapToLittleEndian(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), data.BYTES_PER_ELEMENT);

/**
 * What stands before the elements, and the order of the tensors behind it.
 * @throws as `safetensorsChunks`
 */
const headerOf = (
  entries: ReadonlyMap<string, TensorInfo>,
  metadata: Metadata,
): { readonly header: Uint8Array; readonly order: readonly string[] } => {
  const sizes = new Map([...entries].map(([name, info]) => [name, expectInfo(name, info)]));
  const texts = [...(metadata instanceof Map ? metadata : Object.entries(metadata))];
  for (const [key, value] of texts) {
    expectWellFormed("a metadata key", key);
    expectWellFormed(`metadata ${quote(key)}`, value);
  }

  const widestFirst = [...entries].sort(
    ([, a], [, b]) => carriers[b.dtype].BYTES_PER_ELEMENT - carriers[a.dtype].BYTES_PER_ELEMENT,
  );
  const offsets = new Map<string, readonly [number, number]>();
  let end = 0;
  for (const [name] of widestFirst) {
    const begin = end;
    end += sizes.get(name) as number;
    offsets.set(name, [begin, end]);
  }

  // Put together by hand: an object would reorder names like "0" and swallow "__proto__".
  const object = (members: readonly (readonly [string, string])[]): string =>
    `{${members.map(([key, json]) => `${JSON.stringify(key)}:${json}`).join(",")}}`;
  const json = object([
    ...(texts.length > 0
      ? [[metadataKey, object(texts.map(([key, value]) => [key, JSON.stringify(value)]))] as const]
      : []),
    ...[...entries].map(
      ([name, { dtype, shape }]) => [name, JSON.stringify({ dtype, shape, data_offsets: offsets.get(name) })] as const,
    ),
  ]);
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > maxHeaderLength)
    throw new ArgumentError(`safetensors: the header has ${length} bytes, expected at most ${maxHeaderLength}`);
  try {
    parseHeader(json, text.length, memoryFor(end));
  } catch (cause) {
    throw new ArgumentError(`these tensors could not be read again: ${(cause as Error).message}`);
  }
  const header = new Uint8Array(prefixLength + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, prefixLength);
  return { header, order: widestFirst.map(([name]) => name) };
};

/**
 * The file as a list of chunks: the header, then the elements of one tensor each. They are views of the tensors' own
 * data, so that nothing large is copied; leave it unchanged until the chunks are written.
 *
 * The file is a function of the arguments alone. Tensors and metadata stand in the header in the order given; the
 * elements follow with the widest dtype first, within a dtype's width in the order given, so that every tensor starts
 * at a multiple of its element size and a reader needs no copy.
 *
 * @throws ArgumentError for a name that is there twice, is `__metadata__` or cannot be UTF-8, for metadata other than
 * strings, a BOOL other than 0 or 1, or a header of more than 100 MB or too large to be read again (see
 * `decodeSafetensors`); DTypeError for an unknown dtype or data that does
 * not carry it; ShapeError for a shape of another size
 */
export const safetensorsChunks = (
  tensors: Iterable<readonly [string, HostTensor]>,
  metadata: Metadata = {},
): Uint8Array[] => {
  const entries = uniqueEntries("safetensors", tensors);
  const { header, order } = headerOf(entries, metadata);
  for (const [name, tensor] of entries) expectData(name, tensor);
  return [header, ...order.map((name) => bytesOf(entries.get(name) as HostTensor))];
};

/**
 * As `safetensorsChunks`, of tensors that are read one after the other as their chunk is asked for: at most one of them
 * is in memory.
 * @throws as `safetensorsChunks`: at once, or with its chunk for what only the data can tell; what `read` throws
 */
export const safetensorsStream = (
  { tensors, read }: TensorReader,
  metadata: Metadata = {},
): AsyncGenerator<Uint8Array, void, undefined> => {
  const { header, order } = headerOf(tensors, metadata);
  return (async function* () {
    yield header;
    for (const name of order) {
      const { dtype, shape } = tensors.get(name) as TensorInfo;
      const tensor = { dtype, shape, data: (await read(name)).data } as HostTensor;
      expectData(name, tensor);
      yield bytesOf(tensor);
    }
  })();
};

/** The file of `safetensorsChunks` in one piece: a copy of all elements. @throws as `safetensorsChunks` */
export const encodeSafetensors = (
  tensors: Iterable<readonly [string, HostTensor]>,
  metadata: Metadata = {},
): Uint8Array<ArrayBuffer> => {
  const chunks = safetensorsChunks(tensors, metadata);
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
};

const corrupt = (message: string, options?: ErrorOptions): CheckpointError =>
  new CheckpointError("checkpoint-corrupt", `safetensors: ${message}`, options);

const decodeUtf8 = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw corrupt("the header is not UTF-8", { cause });
  }
};

/** @throws CheckpointError unless the tensors cover all `length` bytes behind the header once */
const expectTiled = (entries: ReadonlyMap<string, TensorEntry>, length: number): void => {
  let covered = 0;
  for (const [name, { begin, end }] of [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered)
      throw corrupt(
        `tensor ${quote(name)} begins at byte ${begin}, expected ${covered}: ${begin > covered ? "a hole" : "an overlap"}`,
      );
    covered = end;
  }
  if (covered !== length) throw corrupt(`the tensors have ${covered} bytes, the file ${length} behind its header`);
};

/** Length of the length of the header. */
export const prefixLength = 8;

/** Bytes of the header of a file that begins with `prefix`. @throws CheckpointError unless it lies within the file */
export const headerLengthOf = (prefix: Uint8Array, fileLength: number): number => {
  if (fileLength < prefixLength) throw corrupt(`the file has ${fileLength} bytes, expected at least ${prefixLength}`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, prefixLength).getBigUint64(0, true);
  if (length > BigInt(Math.min(maxHeaderLength, fileLength - prefixLength)))
    throw corrupt(
      `the header has ${length} bytes, expected at most ${maxHeaderLength} and no more than the file, which has ${fileLength}`,
    );
  const limit = memoryFor(fileLength - prefixLength - Number(length));
  if (length > limit)
    throw new CheckpointError(
      "checkpoint-unsupported",
      `safetensors: the header has ${length} bytes, expected at most ${limit} in a file of ${fileLength}`,
    );
  return Number(length);
};

/** The header before `dataLength` bytes of elements. @throws CheckpointError as `decodeSafetensors` */
export const decodeHeader = (bytes: Uint8Array, dataLength: number): Header => {
  const header = parseHeader(decodeUtf8(bytes), bytes.length, memoryFor(dataLength));
  expectTiled(header.entries, dataLength);
  return header;
};

/**
 * The tensor whose elements are `bytes`: a view where their alignment permits, else a copy.
 * @throws CheckpointError for a BOOL other than 0 or 1
 */
export const decodeTensor = (name: string, { dtype, shape }: TensorInfo, bytes: Uint8Array): HostTensor => {
  const carrier = carriers[dtype];
  const size = carrier.BYTES_PER_ELEMENT;
  const native = swapToLittleEndian(bytes, size);
  const { buffer, byteOffset, length } = native.byteOffset % size === 0 ? native : new Uint8Array(native);
  const tensor = { dtype, shape, data: new carrier(buffer, byteOffset, length / size) } as HostTensor;
  const wrong = findNonBool(tensor);
  if (wrong >= 0) throw corrupt(`tensor ${quote(name)}: element ${wrong} of BOOL is ${tensor.data[wrong]}`);
  return tensor;
};

/** Those whose elements are `bytes` together. @throws CheckpointError as `decodeTensor` */
export const decodeTensors = (entries: ReadonlyMap<string, TensorEntry>, bytes: Uint8Array): Map<string, HostTensor> =>
  new Map(
    [...entries].map(([name, entry]) => [name, decodeTensor(name, entry, bytes.subarray(entry.begin, entry.end))]),
  );

/**
 * Reads a file. The tensors' data are views of `bytes`, except those that do not start at a multiple of their element
 * size in its buffer, which are copies; there are none in a file that this package wrote.
 *
 * Nothing is believed: the header must lie within the file, be UTF-8 and follow the grammar, without a key twice or a
 * field beyond the format's; offsets must agree with shape and dtype and cover the file without hole, overlap or
 * trailer; metadata are strings; a BOOL is 0 or 1. Floats may be anything, NaN included.
 *
 * @throws CheckpointError `checkpoint-corrupt`, or `checkpoint-unsupported` for a dtype that is none of
 * `SafetensorsDType`, or a header that takes more memory than 8 MiB and a quarter of the elements
 */
export const decodeSafetensors = (bytes: Uint8Array): Safetensors => {
  const dataStart = prefixLength + headerLengthOf(bytes.subarray(0, prefixLength), bytes.length);
  const { entries, metadata } = decodeHeader(bytes.subarray(prefixLength, dataStart), bytes.length - dataStart);
  return { tensors: decodeTensors(entries, bytes.subarray(dataStart)), metadata };
};
