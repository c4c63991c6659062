import { CheckpointError, quote } from "./errors.js";
import { byteLengthOf, formatShape, isSafetensorsDType } from "./host-tensor.js";
import { jsonReader } from "./json-reader.js";
import { memoryAccount } from "./memory.js";
import type { TensorInfo } from "./tensor-reader.js";

/** Of the reference implementation, which refuses a longer header. */
export const maxHeaderLength = 100_000_000;

/** The header's key for the metadata: no tensor can have this name. */
export const metadataKey = "__metadata__";

/** A tensor in the header; `begin` and `end` are bytes from the end of the header, and agree with shape and dtype. */
export interface TensorEntry extends TensorInfo {
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly entries: Map<string, TensorEntry>;
  readonly metadata: Map<string, string>;
}

/** What an entry and a line of the metadata take in memory besides their texts, in bytes, about. */
const cost = { entry: 400, metadata: 160 };

/**
 * Parses the header by its own grammar.
 * @param bytes of the text in the file
 * @param memory bytes that text and header may take
 * @throws CheckpointError `checkpoint-corrupt`, or `checkpoint-unsupported` for a dtype, or for more memory
 */
export const parseHeader = (text: string, bytes: number, memory: number): Header => {
  const charge = memoryAccount(
    memory,
    () =>
      new CheckpointError(
        "checkpoint-unsupported",
        `safetensors: a header of ${bytes} bytes, too much for so few elements: it takes more memory than ${memory} bytes`,
      ),
  );
  // Engines keep a text in one byte a character, or in two.
  const width = text.length === bytes ? 1 : 2;
  const chargeTexts = (...texts: readonly string[]): void =>
    charge(texts.reduce((sum, s) => sum + width * s.length, 0));
  // Itself, and the text within that is being read.
  chargeTexts(text, text);
  const corrupt = (message: string): CheckpointError =>
    new CheckpointError("checkpoint-corrupt", `safetensors: header: ${message}`);
  const { string, counts, members, end, expectBrace } = jsonReader(text, corrupt);

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
  expectBrace();
  members("the header", (name) => {
    if (name === metadataKey)
      members(metadataKey, (key) => {
        const value = string();
        charge(cost.metadata);
        chargeTexts(key, value);
        metadata.set(key, value);
      });
    else {
      charge(cost.entry);
      chargeTexts(name);
      entries.set(name, entry(name));
    }
  });
  end();
  return { entries, metadata };
};
