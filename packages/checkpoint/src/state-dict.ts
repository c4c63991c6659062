import {
  ArgumentError,
  type Backend,
  type DType,
  type HostArray,
  keep,
  scope,
  Tensor,
  tensor,
  UnsupportedError,
} from "@striate/core";
import { CheckpointError, quote } from "./errors.js";
import { type HostTensor, type SafetensorsDType, uniqueEntries } from "./host-tensor.js";
import { encodeSafetensors } from "./safetensors.js";
import { expectTensor, type TensorInfo, type TensorReader } from "./tensor-reader.js";
import { bfloat16ToFloat32, float16ToFloat32 } from "./widen.js";

/** Tensors of a backend or of the host by name: what `module.stateDict()` returns, or what was read from a file. */
export type NamedTensors = Iterable<readonly [string, Tensor | HostTensor]>;

const fileDTypes: Readonly<Record<DType, SafetensorsDType>> = {
  float32: "F32",
  float64: "F64",
  float16: "F16",
  int32: "I32",
  uint8: "U8",
  bool: "BOOL",
};

const coreDTypes: ReadonlyMap<SafetensorsDType, DType> = new Map(
  Object.entries(fileDTypes).map(([core, file]) => [file, core as DType]),
);

/**
 * Copies tensors to the host, in their order; tensors of the host pass through. The copy is one moment's: what is
 * assigned to the tensors after the call does not come in.
 * @throws ArgumentError for a name that is there twice; what reading a tensor throws
 */
export const tensorsToHost = async (tensors: NamedTensors): Promise<Map<string, HostTensor>> =>
  new Map(
    // All reads are dispatched before the first is awaited.
    await Promise.all(
      [...uniqueEntries("tensorsToHost", tensors)].map(async ([name, value]) => {
        if (!(value instanceof Tensor)) return [name, value] as const;
        const { shape, dtype } = value;
        return [name, { dtype: fileDTypes[dtype], shape, data: await value.data() } as HostTensor] as const;
      }),
    ),
  );

/** What a file would say of a tensor of core. */
export const infoOf = ({
  dtype,
  shape,
}: {
  dtype: DType | SafetensorsDType;
  shape: readonly number[];
}): TensorInfo => ({
  dtype: Object.hasOwn(fileDTypes, dtype) ? fileDTypes[dtype as DType] : (dtype as SafetensorsDType),
  shape,
});

/**
 * Tensors as they are now, to be read one at a time: what is assigned to those of a backend afterwards does not come in.
 * Until `close` their elements stay on the backend.
 * @throws ArgumentError for a name that is there twice; DisposedError
 */
export const snapshot = (tensors: NamedTensors): TensorReader & { close(): void } => {
  const held = new Map<string, Tensor | HostTensor>();
  const close = (): void => {
    for (const value of held.values()) if (value instanceof Tensor) value.dispose();
    held.clear();
  };
  try {
    for (const [name, value] of uniqueEntries("safetensors", tensors))
      held.set(name, value instanceof Tensor ? keep(value.detach()) : value);
  } catch (error) {
    close();
    throw error;
  }
  const infos = new Map([...held].map(([name, value]) => [name, infoOf(value)]));
  return {
    tensors: infos,
    read: async (name) => {
      const info = expectTensor("read", infos, name);
      const value = held.get(name) as Tensor | HostTensor;
      return value instanceof Tensor ? ({ ...info, data: await value.data() } as HostTensor) : value;
    },
    close,
  };
};

export interface FromHostOptions {
  readonly backend: Backend;
  /**
   * What all floats become: F16 and BF16 widen exactly, F64 is rounded to float32. Default: each its own dtype, BF16
   * float32. Integers and BOOL are left alone.
   */
  readonly dtype?: "float32" | "float64" | undefined;
}

interface CoreData {
  readonly dtype: DType;
  readonly data: HostArray;
}

/** @throws ArgumentError if an element is beyond int32 */
const toInt32 = (name: string, data: ArrayLike<number | bigint>): CoreData => {
  const values = new Int32Array(data.length);
  for (let i = 0; i < values.length; i++) {
    // An int64 that a number would round is beyond int32 anyway.
    const value = Number(data[i]);
    values[i] = value;
    if (values[i] !== value)
      throw new ArgumentError(`tensorsFromHost: tensor ${quote(name)}: element ${i} is ${data[i]}, beyond int32`);
  }
  return { dtype: "int32", data: values };
};

/** Core's dtype for every dtype of a file, with the same values. */
const toCore = (name: string, { dtype: fileDType, data }: HostTensor): CoreData => {
  const dtype = coreDTypes.get(fileDType);
  if (dtype !== undefined) return { dtype, data: data as HostArray };
  if (fileDType === "BF16") return { dtype: "float32", data: bfloat16ToFloat32(data as Uint16Array) };
  return toInt32(name, data);
};

const convert = ({ dtype, data }: CoreData, to: "float32" | "float64" | undefined): CoreData => {
  if (to === undefined || dtype === to) return { dtype, data };
  if (dtype === "float16") return convert({ dtype: "float32", data: float16ToFloat32(data as Uint16Array) }, to);
  if (dtype === "float32") return { dtype: to, data: Float64Array.from(data) };
  if (dtype === "float64") return { dtype: to, data: Float32Array.from(data) };
  return { dtype, data };
};

/**
 * Tensors on a backend from those of the host, copied, in their order: `net.loadStateDict(tensorsFromHost(file.tensors,
 * { backend }))`. Values are kept: I32, U8, BOOL and floats have their dtype in core, BF16 becomes float32, every other
 * integer int32 (PyTorch keeps `num_batches_tracked` as I64).
 * @throws ArgumentError for an integer beyond int32 or a name that is there twice; UnsupportedError for a dtype that the
 * backend does not have; as `tensor`. Nothing is left on the backend then.
 */
export const tensorsFromHost = (
  tensors: Iterable<readonly [string, HostTensor]>,
  { backend, dtype: floats }: FromHostOptions,
): Map<string, Tensor> => {
  const entries = uniqueEntries("tensorsFromHost", tensors);
  return scope(
    () =>
      new Map(
        [...entries].map(([name, host]) => {
          const { dtype, data } = convert(toCore(name, host), floats);
          if (!backend.caps.dtypes.has(dtype))
            throw new UnsupportedError(
              "tensorsFromHost",
              backend.name,
              `tensor ${quote(name)} (${host.dtype}) needs ${dtype}; ask for another with the option dtype`,
            );
          return [name, tensor(data, { backend, shape: host.shape, dtype })] as const;
        }),
      ),
  );
};

/**
 * Identifies weights: the SHA-256, in lower-case hexadecimal, of the safetensors file (`encodeSafetensors`) that holds
 * the tensors sorted by name (by UTF-16 code units) and no metadata. So it covers names, dtypes, shapes and the bits of
 * every element, and `sha256sum` of a file so saved prints the same. Takes memory for a copy of all elements.
 * @throws CheckpointError (checkpoint-unsupported) without Web Crypto, which browsers have in secure contexts only; as
 * `tensorsToHost` and `encodeSafetensors`
 */
export const weightsSha256 = async (tensors: NamedTensors): Promise<string> => {
  const subtle: typeof crypto.subtle | undefined = globalThis.crypto?.subtle;
  if (subtle === undefined)
    throw new CheckpointError(
      "checkpoint-unsupported",
      "weightsSha256: there is no Web Crypto here; a page needs https or localhost",
    );
  const sorted = [...(await tensorsToHost(tensors))].sort(([a], [b]) => (a < b ? -1 : 1));
  const digest = new Uint8Array(await subtle.digest("SHA-256", encodeSafetensors(sorted)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
};
