/**
 * Reader of the safetensors format: 8 bytes of header length (little endian), a JSON header, then the tensors, which
 * tile the rest without hole or overlap. Strict: a file that deviates is refused as a whole.
 */

export interface StoredTensor {
  readonly dtype: "F32" | "F64" | "I32" | "U8";
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

export interface SafetensorsFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** A file or its contents do not follow the format. */
export class VectorFormatError extends Error {
  override readonly name = "VectorFormatError";
}

const widths = { F32: 4, F64: 8, I32: 4, U8: 1 } as const;

const readers: { readonly [D in StoredTensor["dtype"]]: (view: DataView, at: number) => number } = {
  F32: (view, at) => view.getFloat32(at, true),
  F64: (view, at) => view.getFloat64(at, true),
  I32: (view, at) => view.getInt32(at, true),
  U8: (view, at) => view.getUint8(at),
};

const fail = (message: string): never => {
  throw new VectorFormatError(message);
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

const parseHeader = (text: string): Map<string, unknown> => {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    return fail(`the header is no JSON: ${(error as Error).message}`);
  }
  return isRecord(header) ? new Map(Object.entries(header)) : fail("the header is no JSON object");
};

interface Span {
  readonly begin: number;
  readonly end: number;
}

const parseEntry = (name: string, entry: unknown, view: DataView): { span: Span; tensor: () => StoredTensor } => {
  if (!isRecord(entry)) return fail(`${name}: its entry is no object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(widths, dtype))
    return fail(`${name}: unknown dtype ${String(dtype)}`);
  if (!isCounts(shape)) return fail(`${name}: ${JSON.stringify(shape)} is no shape`);
  if (!isCounts(offsets) || offsets.length !== 2) return fail(`${name}: ${JSON.stringify(offsets)} are no offsets`);
  const known = dtype as StoredTensor["dtype"];
  const [begin, end] = offsets as [number, number];
  const count = shape.reduce((a, b) => a * b, 1);
  const bytes = count * widths[known];
  if (!Number.isSafeInteger(bytes) || end - begin !== bytes)
    return fail(
      `${name}: ${dtype} of shape [${shape.join(", ")}] takes ${bytes} bytes, its offsets span ${end - begin}`,
    );
  const read = readers[known];
  const width = widths[known];
  return {
    span: { begin, end },
    tensor: () => ({
      dtype: known,
      shape,
      values: Float64Array.from({ length: count }, (_, i) => read(view, begin + i * width)),
    }),
  };
};

/** @throws VectorFormatError saying what is wrong. */
export const parseSafetensors = (bytes: Uint8Array): SafetensorsFile => {
  if (bytes.length < 8) return fail(`${bytes.length} bytes are too few for a header`);
  const all = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(all.getBigUint64(0, true));
  if (!Number.isSafeInteger(length) || length > bytes.length - 8)
    return fail(`the header is said to be ${length} bytes long, the file has ${bytes.length}`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length));
  } catch {
    return fail("the header is no UTF-8");
  }
  const header = parseHeader(text);
  const given = header.get("__metadata__") ?? {};
  header.delete("__metadata__");
  if (!isRecord(given) || !Object.values(given).every((value) => typeof value === "string"))
    return fail("__metadata__ holds something other than strings");
  const view = new DataView(bytes.buffer, bytes.byteOffset + 8 + length, bytes.length - 8 - length);
  const entries = [...header].map(([name, entry]) => ({ name, ...parseEntry(name, entry, view) }));
  let expected = 0;
  for (const { name, span } of entries.toSorted((a, b) => a.span.begin - b.span.begin || a.span.end - b.span.end)) {
    if (span.begin !== expected)
      return fail(`${name}: starts at ${span.begin}, expected ${expected}: a hole or an overlap`);
    expected = span.end;
  }
  if (expected !== view.byteLength) return fail(`the tensors end at ${expected}, the data at ${view.byteLength}`);
  return {
    metadata: new Map(Object.entries(given as Record<string, string>)),
    tensors: new Map(entries.map(({ name, tensor }) => [name, tensor()])),
  };
};
