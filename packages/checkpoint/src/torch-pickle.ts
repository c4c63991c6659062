/**
 * What `torch.save` pickles: plain data, and tensors as windows on storages that lie beside the pickle. The names are
 * those of torch/_utils.py and torch/storage.py.
 */
import { CheckpointError, quote } from "./errors.js";
import {
  byteLengthOf,
  carriers,
  findNonBool,
  formatShape,
  type HostTensor,
  maxRank,
  type SafetensorsDType,
} from "./host-tensor.js";
import { memoryFor } from "./memory.js";
import {
  type PickleCall,
  type Pickled,
  PickledName,
  type PickleFailure,
  type PickleRules,
  parsePickle,
} from "./pickle.js";

/** The bytes that tensors are windows on: an entry `data/<key>` of the archive. */
export class TorchStorage {
  constructor(
    readonly key: string,
    /** Undefined for bytes whose tensors say what they hold. */
    readonly dtype: SafetensorsDType | undefined,
    readonly byteLength: number,
  ) {}
}

/** What a checkpoint of PyTorch holds: a tuple is a frozen array; dtypes of PyTorch are names, `torch.float32`. */
export type TorchValue = Pickled<HostTensor | TorchStorage>;

/** Where a tensor's elements are; counted in elements. */
export interface StridedView {
  readonly storage: TorchStorage;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset: number;
}

const storageDTypes: Readonly<Record<string, SafetensorsDType | undefined>> = {
  "torch.DoubleStorage": "F64",
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
  "torch.storage.UntypedStorage": undefined,
  "torch.UntypedStorage": undefined,
};

const dtypes: Readonly<Record<string, SafetensorsDType>> = {
  "torch.float64": "F64",
  "torch.float32": "F32",
  "torch.float16": "F16",
  "torch.bfloat16": "BF16",
  "torch.int64": "I64",
  "torch.int32": "I32",
  "torch.int16": "I16",
  "torch.int8": "I8",
  "torch.uint64": "U64",
  "torch.uint32": "U32",
  "torch.uint16": "U16",
  "torch.uint8": "U8",
  "torch.bool": "BOOL",
};

type Value = TorchValue;

const isCount = (value: Value | undefined): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** A tuple, not a list, to which more could be appended once it is checked. */
const counts = (what: string, value: Value | undefined, fail: PickleFailure): readonly number[] => {
  if (!Array.isArray(value) || !Object.isFrozen(value) || value.length > maxRank || !value.every(isCount))
    throw fail(`${what} of a tensor is no tuple of up to ${maxRank} counts`);
  return value;
};

const expectNone = (what: string, value: Value | undefined, fail: PickleFailure): void => {
  if (value === undefined || value === null || value === false || (value instanceof Map && value.size === 0)) return;
  throw fail(`a tensor has ${what}, which would be lost`, "checkpoint-unsupported");
};

/** @throws unless the window lies within its storage and has no element twice */
const expectWithin = ({ storage, dtype, shape, stride, offset }: StridedView, fail: PickleFailure): void => {
  const what = `tensor of ${dtype} ${formatShape(shape)}`;
  const bytes = byteLengthOf(dtype, shape);
  if (bytes === undefined) throw fail(`${what} is too large for any file`);
  if (stride.length !== shape.length) throw fail(`${what} has ${stride.length} strides`);
  const size = carriers[dtype].BYTES_PER_ELEMENT;
  const last =
    bytes === 0 ? offset - 1 : shape.reduce((sum, n, axis) => sum + (n - 1) * (stride[axis] as number), offset);
  if ((last + 1) * size > storage.byteLength)
    throw fail(
      `${what} reaches to element ${last} of storage ${quote(storage.key)}, which has ${storage.byteLength} bytes`,
    );
  // Would take more memory than the file has.
  if (bytes > storage.byteLength)
    throw fail(`${what} repeats elements of its storage; save a contiguous() copy`, "checkpoint-unsupported");
};

/**
 * The value in a pickle of `torch.save`. The tensors in it are still empty; `views` says where their elements are.
 * @param fileBytes of the file with the pickle in it, which bound the memory that its objects may take
 * @throws CheckpointError `checkpoint-unsupported` for anything but plain data and dense tensors, `checkpoint-corrupt`
 */
export const parseTorchPickle = (
  bytes: Uint8Array,
  fileBytes: number,
): { readonly value: TorchValue; readonly views: ReadonlyMap<HostTensor, StridedView> } => {
  const views = new Map<HostTensor, StridedView>();
  const storages = new Map<string, TorchStorage>();
  /** Shared by the tensors of a dtype until they get their own. */
  const empty = new Map<SafetensorsDType, HostTensor["data"]>();

  const makeTensor = (
    [storage, offset, shape, stride, , hooks]: readonly Value[],
    dtype: SafetensorsDType | undefined,
    extra: Value | undefined,
    fail: PickleFailure,
  ): HostTensor => {
    if (!(storage instanceof TorchStorage)) throw fail("a tensor has no storage");
    if (dtype === undefined) throw fail("a tensor has no known dtype", "checkpoint-unsupported");
    if (!isCount(offset)) throw fail("the offset of a tensor is no count");
    expectNone("hooks", hooks, fail);
    expectNone("metadata", extra, fail);
    const view = {
      storage,
      dtype,
      shape: counts("shape", shape, fail),
      stride: counts("stride", stride, fail),
      offset,
    };
    expectWithin(view, fail);
    const data = empty.get(dtype) ?? new carriers[dtype](new ArrayBuffer(0), 0, 0);
    empty.set(dtype, data);
    const tensor = { dtype, shape: view.shape, data } as HostTensor;
    views.set(tensor, view);
    return tensor;
  };

  const calls: Readonly<Record<string, PickleCall<HostTensor | TorchStorage>>> = {
    "torch._utils._rebuild_tensor_v2": (args, fail) =>
      makeTensor(args, args[0] instanceof TorchStorage ? args[0].dtype : undefined, args[6], fail),
    "torch._utils._rebuild_tensor_v3": (args, fail) => {
      const name = args[6];
      return makeTensor(args, name instanceof PickledName ? dtypes[name.name] : undefined, args[7], fail);
    },
    "torch._utils._rebuild_parameter": ([data, , hooks], fail) => {
      expectNone("hooks", hooks, fail);
      return data ?? null;
    },
    "torch.Size": ([sizes], fail) => counts("torch.Size", sizes, fail),
    "collections.OrderedDict": (args, fail) => {
      if (args.length > 0) throw fail("an OrderedDict is made of arguments, expected none");
      return new Map();
    },
    "collections.Counter": ([counts = new Map()], fail) => {
      if (!(counts instanceof Map)) throw fail("a Counter is made of something that is no dict");
      return counts;
    },
    // How protocol 2 writes bytes.
    "_codecs.encode": ([text, encoding], fail) => {
      if (typeof text !== "string" || encoding !== "latin1") throw fail("text is not encoded as latin1");
      const encoded = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i);
        if (code > 255) throw fail("text is not latin1");
        encoded[i] = code;
      }
      return encoded;
    },
    "__builtin__.bytes": () => new Uint8Array(0),
    "builtins.bytes": () => new Uint8Array(0),
  };

  const rules: PickleRules<HostTensor | TorchStorage> = {
    names: new Map([
      ...Object.entries(calls),
      ...[...Object.keys(storageDTypes), ...Object.keys(dtypes)].map((name) => [name, undefined] as const),
    ]),
    // ("storage", class, key, device, number of elements)
    persistent: (id, fail) => {
      const [kind, type, key, , size] = Array.isArray(id) ? (id as readonly Value[]) : [];
      if (kind !== "storage" || !(type instanceof PickledName) || !Object.hasOwn(storageDTypes, type.name))
        throw fail("refers to something that is no storage");
      if (typeof key !== "string" || !isCount(size)) throw fail("a storage has no key or no size");
      const dtype = storageDTypes[type.name];
      const byteLength = byteLengthOf(dtype ?? "U8", [size]);
      if (byteLength === undefined) throw fail("a storage is too large for any file");
      const known = storages.get(key);
      if (known === undefined) {
        const storage = new TorchStorage(key, dtype, byteLength);
        storages.set(key, storage);
        return storage;
      }
      if (known.dtype !== dtype || known.byteLength !== byteLength)
        throw fail(`storage ${quote(key)} is described in two ways`, "checkpoint-unsupported");
      return known;
    },
    // `_metadata` of a state dict, the versions of its modules, is an attribute of the OrderedDict.
    build: (target, state, fail) => {
      if (!(target instanceof Map) || !(state instanceof Map) || [...state.keys()].some((key) => key !== "_metadata"))
        throw fail("a state is given to something that is no state dict", "checkpoint-unsupported");
    },
  };
  return { value: parsePickle(bytes, rules, { memory: memoryFor(fileBytes - bytes.length) }), views };
};

const isContiguous = ({ shape, stride }: StridedView): boolean => {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const n = shape[axis] as number;
    if (n !== 1 && stride[axis] !== expected) return false;
    expected *= n;
  }
  return true;
};

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const isEmpty = ({ shape }: StridedView): boolean => shape.includes(0);

/** True where `elementsOfViews` copies. */
export const needsCopy = (view: StridedView): boolean => !isEmpty(view) && !isContiguous(view);

const boolError = (value: unknown, element: number): CheckpointError =>
  new CheckpointError("checkpoint-corrupt", `a bool tensor has ${value} as element ${element}`);

/** Looks at every byte once, however many tensors share it. @throws CheckpointError for a bool other than 0 or 1 */
const expectBools = (views: readonly StridedView[], bytes: Uint8Array): void => {
  const windows = views.filter((view) => view.dtype === "BOOL" && !isEmpty(view) && isContiguous(view));
  let checked = 0;
  for (const { offset, shape } of windows.sort((a, b) => a.offset - b.offset)) {
    const begin = Math.max(offset, checked);
    const end = Math.max(offset + sizeOf(shape), checked);
    const wrong = bytes.subarray(begin, end).findIndex((value) => value > 1);
    if (wrong >= 0) throw boolError(bytes[begin + wrong], begin + wrong - offset);
    checked = end;
  }
};

/** Elements that are not in row-major order, copied so. */
const gather = ({ dtype, shape, stride, offset }: StridedView, bytes: Uint8Array): HostTensor["data"] => {
  const carrier = carriers[dtype];
  const size = carrier.BYTES_PER_ELEMENT;
  const count = sizeOf(shape);
  const source = new carrier(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / size));
  const data = new carrier(new ArrayBuffer(count * size), 0, count);
  const index = new Array<number>(shape.length).fill(0);
  let from = offset;
  for (let to = 0; to < count; to++) {
    data[to] = source[from] as never;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      from += stride[axis] as number;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      from -= (shape[axis] as number) * (stride[axis] as number);
      index[axis] = 0;
    }
  }
  const wrong = findNonBool({ dtype, shape, data } as HostTensor);
  if (wrong >= 0) throw boolError(data[wrong], wrong);
  return data;
};

/**
 * The elements of windows on one storage in row-major order: views of its bytes where these are so already. `bytes` are
 * in the host's byte order and start at a multiple of the element size in their buffer.
 * @throws CheckpointError (checkpoint-corrupt) for a bool other than 0 or 1
 */
export const elementsOfViews = (views: readonly StridedView[], bytes: Uint8Array): HostTensor["data"][] => {
  expectBools(views, bytes);
  return views.map((view) => {
    if (needsCopy(view)) return gather(view, bytes);
    const carrier = carriers[view.dtype];
    const begin = isEmpty(view) ? 0 : view.offset * carrier.BYTES_PER_ELEMENT;
    return new carrier(bytes.buffer, bytes.byteOffset + begin, sizeOf(view.shape));
  });
};
