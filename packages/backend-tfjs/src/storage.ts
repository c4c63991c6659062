/**
 * What a Striate storage holds here: up to three layouts of the same elements, each made when an op first asks for it.
 * Data is never written in place, so storages may share it.
 */
import {
  bytesPerElement,
  type DType,
  type HostArray,
  hostArray,
  type Operand,
  type Shape,
  sizeOf,
} from "@striate/core/backend";
import type { Device, Info, TfjsDType } from "./device.js";

/** What a max pool saw: the positions of the maxima are worked out from it if somebody asks. */
export interface PoolMemory {
  readonly x: Info;
  readonly y: Info;
  /** [N, oh, ow, C] */
  positions(): Info;
}

export interface TfjsStorage {
  readonly dtype: DType;
  /** Row-major, as Striate sees the elements. */
  flat: Info | null;
  /** [N, H, W, C], for elements that Striate sees as [N, C, H, W]. */
  image: Info | null;
  /** Other orders of the same elements, by name: weights as tfjs wants them. */
  derived: Map<string, Info> | null;
  /** Least and greatest element of an int32 storage, where known. */
  bounds: readonly [number, number] | null;
  /** In place of `flat` and `image`. */
  pool: PoolMemory | null;
}

export type View = Operand<TfjsStorage>;

type Image = readonly [number, number, number, number];

/** Bytes are kept as int32: tfjs has no such type. */
export const tfjsDType = (dtype: DType): TfjsDType => (dtype === "uint8" ? "int32" : (dtype as TfjsDType));

export const emptyStorage = (dtype: DType): TfjsStorage => ({
  dtype,
  flat: null,
  image: null,
  derived: null,
  bounds: null,
  pool: null,
});

const toImage = [0, 2, 3, 1] as const;
const fromImage = [0, 3, 1, 2] as const;

export const imageShape = ([n, c, h, w]: Shape): number[] => [n, h, w, c] as number[];

/** Whether NCHW and NHWC are the same order of elements. */
const isSameOrder = ([, c, h, w]: Image): boolean => c === 1 || (h as number) * (w as number) === 1;

const holdsImageOf = ({ storage, shape }: View): boolean => {
  const { image } = storage;
  if (!image || shape.length !== 4) return false;
  const [n, c, h, w] = shape as Image;
  const s = image.shape;
  return s[0] === n && s[1] === h && s[2] === w && s[3] === c;
};

export interface Layouts {
  /** Row-major, under the operand's shape. */
  flat(x: View): Info;
  /** [N, H, W, C] of an operand [N, C, H, W]. */
  image(x: View): Info;
  /** An operand's elements in the order of `perm`, remembered until they change: for weights. */
  permuted(x: View, perm: readonly number[]): Info;
  /** Whether the operand is at hand as an image and not in row-major order. */
  prefersImage(x: View): boolean;
  put(y: View, info: Info): void;
  putImage(y: View, info: Info): void;
  /** Pointwise: any layout of x will do, and y gets the same one. */
  pointwise(x: View, y: View, f: (x: Info) => Info): void;
  /** Pointwise on operands that broadcast, rank for rank. */
  broadcast(inputs: readonly View[], y: View, f: (...inputs: Info[]) => Info): void;
  clear(storage: TfjsStorage): void;
  write(y: View, data: HostArray): void;
  toHost(x: View, values: ArrayLike<number>): HostArray;
}

const boundsOf = (values: Int32Array): readonly [number, number] => {
  let least = 2 ** 31 - 1;
  let greatest = -(2 ** 31);
  for (const value of values) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return [least, greatest];
};

export const createLayouts = (device: Device): Layouts => {
  const remember = (storage: TfjsStorage, key: "flat" | "image", info: Info): Info => {
    const old = storage[key];
    storage[key] = device.keep(info);
    if (old) device.release(old);
    return info;
  };

  const expectContents = (storage: TfjsStorage): void => {
    if (storage.flat || storage.image) return;
    if (!storage.pool) throw new Error("a storage was read before it was written");
    remember(storage, "image", storage.pool.positions());
  };

  const flat = ({ storage, shape }: View): Info => {
    expectContents(storage);
    if (!storage.flat) {
      const rows = storage.image as Info;
      const [n, h, w, c] = rows.shape as [number, number, number, number];
      const info = isSameOrder([n, c, h, w])
        ? device.view(rows, [n, c, h, w])
        : device.run("Transpose", { x: rows }, { perm: [...fromImage] });
      remember(storage, "flat", info);
    }
    return device.view(storage.flat as unknown as Info, shape);
  };

  const image = (x: View): Info => {
    expectContents(x.storage);
    if (holdsImageOf(x)) return x.storage.image as Info;
    const rows = flat(x);
    const info = isSameOrder(x.shape as Image)
      ? device.view(rows, imageShape(x.shape))
      : device.run("Transpose", { x: rows }, { perm: [...toImage] });
    return remember(x.storage, "image", info);
  };

  const clear = (storage: TfjsStorage): void => {
    for (const info of [
      storage.flat,
      storage.image,
      storage.pool?.x,
      storage.pool?.y,
      ...(storage.derived?.values() ?? []),
    ])
      if (info) device.release(info);
    Object.assign(storage, emptyStorage(storage.dtype));
  };

  const put = (y: View, info: Info): void => {
    const kept = device.keep(info);
    clear(y.storage);
    y.storage.flat = kept;
  };

  const putImage = (y: View, info: Info): void => {
    const kept = device.keep(info);
    clear(y.storage);
    y.storage.image = kept;
  };

  const prefersImage = (x: View): boolean => holdsImageOf(x) && !x.storage.flat;

  return {
    flat,
    image,
    permuted: (x, perm) => {
      const key = `${x.shape.join()}:${perm.join()}`;
      const found = x.storage.derived?.get(key);
      if (found) return found;
      const info = device.keep(device.run("Transpose", { x: flat(x) }, { perm: [...perm] }));
      x.storage.derived ??= new Map();
      x.storage.derived.set(key, info);
      return info;
    },
    prefersImage,
    put,
    putImage,
    pointwise: (x, y, f) => {
      const { storage } = x;
      expectContents(storage);
      if (storage.image && !storage.flat) {
        putImage(y, f(storage.image));
        return;
      }
      // Kernels for GPUs stop at some rank.
      const isHigh = x.shape.length > 4 && !device.hostMemory;
      put(y, f(isHigh ? device.view(flat(x), [sizeOf(x.shape)]) : flat(x)));
    },
    broadcast: (inputs, y, f) => {
      // One operand that is an image makes the others images: so are most of a network's, and the rest is small.
      if (y.shape.length === 4 && inputs.some((x) => prefersImage(x) && sizeOf(x.shape) === sizeOf(y.shape)))
        putImage(y, f(...inputs.map(image)));
      else put(y, f(...inputs.map(flat)));
    },
    clear,
    write: (y, data) => {
      const { dtype } = y;
      // tfjs's CPU backend keeps the array itself.
      const values =
        dtype === "uint8" ? Int32Array.from(data) : (data.slice() as Float32Array | Int32Array | Uint8Array);
      device.scoped(() =>
        put(
          y,
          dtype === "bool"
            ? device.placeBool(values as Uint8Array, y.shape)
            : device.place(values as Float32Array | Int32Array, y.shape),
        ),
      );
      if (dtype === "int32") y.storage.bounds = boundsOf(values as Int32Array);
    },
    toHost: ({ dtype, shape }, values) => {
      const result = hostArray(dtype, sizeOf(shape));
      result.set(values as unknown as ArrayLike<number>);
      return result;
    },
  };
};

export const bytesOf = ({ shape, dtype }: View): number => sizeOf(shape) * bytesPerElement[dtype];
