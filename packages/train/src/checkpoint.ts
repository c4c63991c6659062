/**
 * A run's state as one file: safetensors, so that any tool can look inside, with the tensors of `net/`, `optimizer/` and
 * `extra/NAME/`, everything else as JSON in the metadata, and a checksum as the last tensor.
 */
import {
  CheckpointError,
  decodeSafetensors,
  encodeSafetensors,
  type HostTensor,
  type Safetensors,
} from "@striate/checkpoint";
import { ArgumentError } from "@striate/core";
import type { Progress } from "./callback.js";
import type { HostState, HostStates } from "./state.js";

/** All that a run needs to go on, on the host. */
export interface Checkpoint {
  readonly progress: Progress;
  readonly states: HostStates;
  /** Identifies the configuration of the run, which decides whether this fits. */
  readonly configHash?: string | undefined;
  /** JSON that whoever keeps checkpoints needs. */
  readonly about?: Readonly<Record<string, unknown>> | undefined;
}

/** Raised when a reader of before would misread what is written now. */
const version = 1;
const metadataKey = "striate-checkpoint";
const checksumName = "sha256";
const checksumLength = 32;

interface Written extends Omit<Checkpoint, "states"> {
  readonly version: number;
  readonly states: readonly (readonly [
    name: string,
    state: { readonly counters: readonly (readonly [string, number])[]; readonly json: HostState["json"] },
  ])[];
}

/** JSON would make null of what is not finite, silently. */
const strictJson = (value: unknown): string =>
  JSON.stringify(value, (key, member: unknown) => {
    if (typeof member === "number" && !Number.isFinite(member))
      throw new ArgumentError(`encodeCheckpoint: ${key} is ${member}, which JSON cannot hold`);
    return member;
  });

const digest = async (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> => {
  const subtle: typeof crypto.subtle | undefined = globalThis.crypto?.subtle;
  if (subtle === undefined)
    throw new CheckpointError(
      "checkpoint-unsupported",
      "checkpoint: there is no Web Crypto here; a page needs https or localhost",
    );
  return new Uint8Array(await subtle.digest("SHA-256", bytes));
};

/**
 * The file of a checkpoint. Its last 32 bytes are the SHA-256 of all before them, the header included.
 *
 * @throws ArgumentError for numbers that are not finite among counters and JSON; CheckpointError (checkpoint-unsupported)
 * without Web Crypto; as `encodeSafetensors`
 */
export const encodeCheckpoint = async ({ states, ...rest }: Checkpoint): Promise<Uint8Array<ArrayBuffer>> => {
  const tensors: (readonly [string, HostTensor])[] = [...states].flatMap(([part, state]) =>
    [...state.tensors].map(([name, tensor]) => [`${part}/${name}`, tensor] as const),
  );
  // Elements are written with the widest dtype first, and in order within a width: this is the end of the file.
  tensors.push([checksumName, { dtype: "U8", shape: [checksumLength], data: new Uint8Array(checksumLength) }]);
  const written: Written = {
    version,
    ...rest,
    states: [...states].map(([part, { counters, json }]) => [part, { counters: [...counters], json }]),
  };
  const bytes = encodeSafetensors(tensors, { [metadataKey]: strictJson(written) });
  const body = bytes.length - checksumLength;
  bytes.set(await digest(bytes.subarray(0, body)), body);
  return bytes;
};

const corrupt = (message: string): CheckpointError =>
  new CheckpointError("checkpoint-corrupt", `checkpoint: ${message}`);

const writtenOf = ({ metadata }: Safetensors): Written => {
  const text = metadata.get(metadataKey);
  if (text === undefined) throw corrupt(`the file has no ${metadataKey} in its metadata`);
  const written = JSON.parse(text) as Written;
  if (written.version !== version)
    throw new CheckpointError(
      "checkpoint-unsupported",
      `checkpoint: the file has format ${written.version}, expected ${version}`,
    );
  return written;
};

/**
 * Reads a file of `encodeCheckpoint`. A bit that was flipped, a byte too few or too many is noticed before anything is
 * believed. The tensors are views of `bytes`.
 *
 * @throws CheckpointError `checkpoint-corrupt`, or `checkpoint-unsupported` for another format version
 */
export const decodeCheckpoint = async (bytes: Uint8Array<ArrayBuffer>): Promise<Checkpoint> => {
  const body = bytes.length - checksumLength;
  if (body < 0) throw corrupt(`the file has ${bytes.length} bytes, expected at least ${checksumLength}`);
  const expected = await digest(bytes.subarray(0, body));
  if (bytes.subarray(body).some((byte, i) => byte !== expected[i]))
    throw corrupt("the checksum does not fit the file: it was damaged, or cut off");
  const file = decodeSafetensors(bytes);
  const { version: _, states, ...rest } = writtenOf(file);
  return {
    ...rest,
    states: new Map(
      states.map(([part, { counters, json }]) => {
        const prefix = `${part}/`;
        const tensors = [...file.tensors].filter(([name]) => name.startsWith(prefix));
        return [
          part,
          {
            tensors: new Map(tensors.map(([name, tensor]) => [name.slice(prefix.length), tensor])),
            counters: new Map(counters),
            json,
          },
        ];
      }),
    ),
  };
};

/** The net's tensors in a checkpoint: `net.loadStateDict(tensorsFromHost(checkpointWeights(checkpoint), { backend }))`. */
export const checkpointWeights = ({ states }: Checkpoint): ReadonlyMap<string, HostTensor> => {
  const net = states.get("net");
  if (!net) throw corrupt("there is no net in it");
  return net.tensors;
};
