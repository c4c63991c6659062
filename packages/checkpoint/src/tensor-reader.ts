import { ArgumentError } from "@striate/core";
import { quote } from "./errors.js";
import type { HostTensor, SafetensorsDType } from "./host-tensor.js";
import { nearestName } from "./nearest-name.js";

/** What a file says of a tensor before its elements are read. */
export interface TensorInfo {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
}

/** Tensors of a file, read one at a time. */
export interface TensorReader {
  /** In the file's order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Its elements, from the file with each call. They may be put into `buffer` where that is large enough, and are then
   * good until it is given again: reading on and on with one buffer makes no garbage.
   * @throws ArgumentError for a name that is not there; CheckpointError
   */
  read(name: string, buffer?: ArrayBuffer): Promise<HostTensor>;
}

/** A reader whose file is open until `close`. */
export interface OpenTensors extends TensorReader {
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** `length` bytes to read into: of the buffer, or new ones where it is too small. */
export const bytesIn = (buffer: ArrayBuffer | undefined, length: number): Uint8Array<ArrayBuffer> =>
  buffer !== undefined && buffer.byteLength >= length ? new Uint8Array(buffer, 0, length) : new Uint8Array(length);

/** @throws ArgumentError for a name that is not there */
export const expectTensor = <T>(op: string, tensors: ReadonlyMap<string, T>, name: string): T => {
  const found = tensors.get(name);
  if (found !== undefined) return found;
  const nearest = nearestName(name, tensors.keys());
  throw new ArgumentError(
    `${op}: there is no tensor ${quote(name)}${nearest === undefined ? "" : `; is it ${quote(nearest)}?`}`,
  );
};
