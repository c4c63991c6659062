import type { Header } from "../header.js";
import type { HostTensor } from "../host-tensor.js";
import {
  decodeHeader,
  decodeTensor,
  decodeTensors,
  headerLengthOf,
  type Metadata,
  prefixLength,
  type Safetensors,
  safetensorsStream,
} from "../safetensors.js";
import { type NamedTensors, snapshot } from "../state-dict.js";
import { bytesIn, expectTensor, type OpenTensors } from "../tensor-reader.js";
import { type OpenFile, withFile, withPath } from "./file.js";
import { replaceFile } from "./replace-file.js";

export interface SaveOptions {
  readonly metadata?: Metadata | undefined;
}

/**
 * Saves tensors of a backend or of the host: `saveSafetensors("net.safetensors", net.stateDict())`. The file holds their
 * values at the moment of the call, and comes into being whole or not at all: see `replaceFile`. One tensor at a time is
 * read from its backend. Arrays of the host must not change until the promise resolves.
 * @throws CheckpointError (checkpoint-write), as `replaceFile`; as `safetensorsStream`; what reading a tensor throws. An
 * old file is intact then.
 */
export const saveSafetensors = async (
  path: string,
  tensors: NamedTensors,
  { metadata }: SaveOptions = {},
): Promise<void> => {
  const held = snapshot(tensors);
  try {
    await replaceFile(path, safetensorsStream(held, metadata));
  } finally {
    held.close();
  }
};

/** The header, and where the elements begin. @throws CheckpointError */
const readHeader = async (file: OpenFile): Promise<Header & { readonly dataStart: number }> => {
  const prefix = new Uint8Array(prefixLength);
  await file.read(0, prefix.subarray(0, file.size));
  const header = new Uint8Array(headerLengthOf(prefix, file.size));
  await file.read(prefixLength, header);
  const dataStart = prefixLength + header.length;
  return { ...decodeHeader(header, file.size - dataStart), dataStart };
};

/**
 * Reads a file as `decodeSafetensors` does. Memory is the file's size: the tensors are views of one buffer, which lives
 * as long as one of them. The header is read and checked before there is that buffer.
 * @throws CheckpointError `checkpoint-missing`, `checkpoint-read`, or as `decodeSafetensors` with the path in front
 */
export const loadSafetensors = (path: string): Promise<Safetensors> =>
  withFile(
    path,
    async (file) => {
      const { entries, metadata, dataStart } = await readHeader(file);
      const bytes = new Uint8Array(file.size - dataStart);
      await file.read(dataStart, bytes);
      return { tensors: decodeTensors(entries, bytes), metadata };
    },
    "always",
  );

/** A safetensors file that is open: its header is read and checked, its elements are not yet. */
export interface OpenSafetensors extends OpenTensors {
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Opens a file to read some of its tensors, or one after the other. The header and the length of the file are checked by
 * every rule of `decodeSafetensors`; each tensor read is an array of its own.
 *
 *     const file = await openSafetensors("net.safetensors");
 *     const { data } = await file.read("fc.weight");
 *     await file.close(); // or: await using file = …
 *
 * @throws CheckpointError as `loadSafetensors`
 */
export const openSafetensors = (path: string): Promise<OpenSafetensors> =>
  withFile(
    path,
    async (file) => {
      const { entries, metadata, dataStart } = await readHeader(file);
      return {
        tensors: entries,
        metadata,
        read: (name, buffer): Promise<HostTensor> =>
          withPath(path, async () => {
            const entry = expectTensor("read", entries, name);
            const bytes = bytesIn(buffer, entry.end - entry.begin);
            await file.read(dataStart + entry.begin, bytes);
            return decodeTensor(name, entry, bytes);
          }),
        close: file.close,
        [Symbol.asyncDispose]: file.close,
      };
    },
    "on-error",
  );
