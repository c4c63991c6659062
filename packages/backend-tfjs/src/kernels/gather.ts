import { IndexError, rowMajorStrides, type Shape, sizeOf } from "@striate/core/backend";
import type { Bridge, Info, Required } from "../bridge.js";
import type { View } from "../storage.js";
import { moving } from "./bool.js";

const outside = (op: string, index: number, n: number): IndexError =>
  new IndexError(`${op}: index ${index} is outside [0, ${n})`);

const expectWithin = (op: string, [least, greatest]: readonly [number, number], n: number): void => {
  if (least < 0) throw outside(op, least, n);
  if (greatest >= n) throw outside(op, greatest, n);
};

const extremes = (values: ArrayLike<number>): readonly [number, number] => {
  let least = values[0] as number;
  let greatest = least;
  for (let i = 1; i < values.length; i++) {
    const value = values[i] as number;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return [least, greatest];
};

/** Σ of coordinate times stride over all axes but one, for each element of `shape`; null where that is 0 throughout. */
const offsetsOf = (shape: Shape, strides: readonly number[], axis: number): Int32Array | null => {
  if (shape.every((n, i) => n === 1 || i === axis)) return null;
  const offsets = new Int32Array(sizeOf(shape));
  let block = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const stride = i === axis ? 0 : (strides[i] as number);
    for (let at = 1; at < (shape[i] as number); at++)
      for (let k = 0; k < block; k++) offsets[at * block + k] = (offsets[k] as number) + at * stride;
    block *= shape[i] as number;
  }
  return offsets;
};

export interface Indexing {
  /** @throws IndexError now, or from the next read where the indices can only be read later. */
  check(op: string, index: View, n: number): void;
  /** [size]: where in the flat x the elements that `index` names along `axis` are. */
  positions(index: View, x: Shape, axis: number): Info;
  /** [size]: `updates` [n] added up at `positions` [n]. */
  scatter(positions: Info, updates: Info, size: number): Info;
}

export const createIndexing = ({ device, layouts, primitives, pending }: Bridge): Indexing => ({
  check: (op, index, n) => {
    const { storage } = index;
    if (!storage.bounds && device.syncRead) storage.bounds = extremes(device.valuesOf(layouts.flat(index)));
    if (storage.bounds) {
      expectWithin(op, storage.bounds, n);
      return;
    }
    const info = layouts.flat(index);
    device.keep(info);
    // `info` belongs to the storage; this is a reference of its own.
    pending.push(async () => {
      try {
        expectWithin(op, extremes(await device.read(info)), n);
      } finally {
        device.release(info);
      }
    });
  },

  positions: (index, x, axis) => {
    const strides = rowMajorStrides(x);
    const stride = strides[axis] as number;
    const count = sizeOf(index.shape);
    const offsets = offsetsOf(index.shape, strides, axis);
    const info = device.view(layouts.flat(index), [count]);
    if (device.hostMemory) {
      const values = device.valuesOf(info);
      const result = offsets ?? new Int32Array(count);
      for (let i = 0; i < count; i++) result[i] = (result[i] as number) + (values[i] as number) * stride;
      return device.place(result, [count]);
    }
    const { add, mul } = primitives.binary;
    const scaled = stride === 1 ? info : mul.int32(info, device.place(Int32Array.of(stride), []));
    return offsets ? add.int32(scaled, device.place(offsets, [count])) : scaled;
  },

  scatter: (positions, updates, size) => {
    const indices = device.view(positions, [positions.shape[0] as number, 1]);
    return device.run("ScatterNd", { indices, updates }, { shape: [size] });
  },
});

export const gatherKernels = (bridge: Bridge, indexing: Indexing): Required<"gather" | "scatterAdd"> => {
  const { device, layouts, primitives } = bridge;
  return {
    gather: ({ inputs: [x, index], outputs: [y], attrs: { axis } }) => {
      indexing.check("gather", index, x.shape[axis] as number);
      const indices = indexing.positions(index, x.shape, axis);
      const take = moving(bridge, (info) =>
        device.run("GatherV2", { x: device.view(info, [sizeOf(x.shape)]), indices }, { axis: 0, batchDims: 0 }),
      );
      layouts.put(y, take(layouts.flat(x)));
      y.storage.bounds = x.storage.bounds;
    },

    scatterAdd: ({ inputs: [x, index, source], outputs: [y], attrs: { axis } }) => {
      indexing.check("scatterAdd", index, x.shape[axis] as number);
      const size = sizeOf(x.shape);
      const positions = indexing.positions(index, x.shape, axis);
      const sums = indexing.scatter(positions, device.view(layouts.flat(source), [sizeOf(source.shape)]), size);
      const a = device.view(layouts.flat(x), [size]);
      const total = primitives.binary.add[a.dtype === "float32" ? "float32" : "int32"](a, sums);
      layouts.put(y, y.dtype === "uint8" ? primitives.wrapByte(total) : total);
    },
  };
};
