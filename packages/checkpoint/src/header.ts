import { CheckpointError, quote } from "./errors.js";
import { byteLengthOf, formatShape, isSafetensorsDType, type SafetensorsDType } from "./host-tensor.js";

/** Of the reference implementation, which refuses a longer header. */
export const maxHeaderLength = 100_000_000;

/** The header's key for the metadata: no tensor can have this name. */
export const metadataKey = "__metadata__";

/** A tensor in the header; `begin` and `end` are bytes from the end of the header, and agree with shape and dtype. */
export interface TensorEntry {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly entries: Map<string, TensorEntry>;
  readonly metadata: Map<string, string>;
}

const loneSurrogate = /\p{Surrogate}/u;

/** False for text with half a surrogate pair, which UTF-8 cannot hold. */
export const isWellFormed = (text: string): boolean => !loneSurrogate.test(text);

/**
 * Parses the header by its own grammar. `JSON.parse` would drop duplicate keys, round large integers, take 1e3 or -0
 * for a dimension and change the order of names like "0".
 * @throws CheckpointError `checkpoint-corrupt`, or `checkpoint-unsupported` for a dtype
 */
export const parseHeader = (text: string): Header => {
  let at = 0;

  const corrupt = (message: string): CheckpointError =>
    new CheckpointError("checkpoint-corrupt", `safetensors: header: ${message}`);
  const unexpected = (expected: string): CheckpointError => {
    const found = at < text.length ? quote(text.slice(at, at + 20)) : "its end";
    return corrupt(`expected ${expected} at character ${at}, found ${found}`);
  };

  const skipSpace = (): void => {
    while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++;
  };
  const take = (character: string): boolean => {
    skipSpace();
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const expect = (character: string): void => {
    if (!take(character)) throw unexpected(quote(character));
  };

  const string = (): string => {
    skipSpace();
    if (text[at] !== '"') throw unexpected("a string");
    let end = at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    let value: unknown;
    try {
      value = JSON.parse(text.slice(at, end + 1));
    } catch {
      throw unexpected("a string of JSON");
    }
    if (!isWellFormed(value as string)) throw unexpected("a string of whole characters");
    at = end + 1;
    return value as string;
  };

  const digits = /(?:0|[1-9]\d{0,15})(?![\d.eE])/y;
  const count = (): number => {
    skipSpace();
    digits.lastIndex = at;
    const value = Number(digits.exec(text)?.[0]);
    if (!Number.isSafeInteger(value)) throw unexpected("an integer from 0 to 2^53 - 1");
    at = digits.lastIndex;
    return value;
  };
  const counts = (): number[] => {
    const values: number[] = [];
    expect("[");
    if (take("]")) return values;
    do values.push(count());
    while (take(","));
    expect("]");
    return values;
  };

  const members = (what: string, member: (key: string) => void): void => {
    const keys = new Set<string>();
    expect("{");
    if (take("}")) return;
    do {
      const key = string();
      if (keys.has(key)) throw corrupt(`${what} has the key ${quote(key)} twice`);
      keys.add(key);
      expect(":");
      member(key);
    } while (take(","));
    expect("}");
  };

  const entry = (name: string): TensorEntry => {
    const what = `tensor ${quote(name)}`;
    const fields: { dtype?: string; shape?: number[]; data_offsets?: number[] } = {};
    members(what, (field) => {
      if (field === "dtype") fields.dtype = string();
      else if (field === "shape") fields.shape = counts();
      else if (field === "data_offsets") fields.data_offsets = counts();
      // Whatever it means, to pass over it may be to read the elements wrong.
      else throw corrupt(`${what} has the unknown field ${quote(field)}`);
    });
    const { dtype, shape, data_offsets: offsets } = fields;
    if (dtype === undefined || shape === undefined || offsets === undefined)
      throw corrupt(`${what} has only ${Object.keys(fields).join(", ")}; expected dtype, shape and data_offsets`);
    if (!isSafetensorsDType(dtype))
      throw new CheckpointError("checkpoint-unsupported", `safetensors: ${what} has the unknown dtype ${quote(dtype)}`);
    const [begin, end] = offsets;
    if (begin === undefined || end === undefined || offsets.length !== 2)
      throw corrupt(`${what} has ${offsets.length} data_offsets, expected 2`);
    const bytes = byteLengthOf(dtype, shape);
    if (bytes === undefined) throw corrupt(`${what} of ${dtype} ${formatShape(shape)} is too large for any file`);
    if (end - begin !== bytes)
      throw corrupt(
        `${what} of ${dtype} ${formatShape(shape)} has ${bytes} bytes, its data_offsets ${begin} to ${end}`,
      );
    return { dtype, shape, begin, end };
  };

  const entries = new Map<string, TensorEntry>();
  const metadata = new Map<string, string>();
  if (text[0] !== "{") throw unexpected('"{"');
  members("the header", (name) => {
    if (name === metadataKey) members(metadataKey, (key) => metadata.set(key, string()));
    else entries.set(name, entry(name));
  });
  skipSpace();
  if (at < text.length) throw unexpected("nothing more");
  return { entries, metadata };
};
