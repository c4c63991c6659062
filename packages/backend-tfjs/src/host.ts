/** Loops in JavaScript, for backends whose data lies in the host's memory. */
import { broadcastStrides, sizeOf } from "@striate/core/backend";
import type { Device, Info } from "./device.js";

const arrayFor = (info: Info, size: number): Float32Array | Int32Array =>
  info.dtype === "float32" ? new Float32Array(size) : new Int32Array(size);

export const mapOnHost =
  (device: Device, f: (x: number) => number) =>
  (x: Info): Info => {
    const values = device.valuesOf(x);
    const result = arrayFor(x, values.length);
    for (let i = 0; i < values.length; i++) result[i] = f(values[i] as number);
    return device.place(result, x.shape);
  };

/** The flat positions in an operand that the elements of a broadcast result come from. */
const sources = (shape: readonly number[], output: readonly number[]): Int32Array => {
  const strides = broadcastStrides(shape, output);
  const positions = new Int32Array(sizeOf(output));
  let block = 1;
  // From the last axis to the first: what is there is repeated, moved on by the stride of the axis.
  for (let axis = output.length - 1; axis >= 0; axis--) {
    const n = output[axis] as number;
    for (let i = 1; i < n; i++)
      for (let k = 0; k < block; k++)
        positions[i * block + k] = (positions[k] as number) + i * (strides[axis] as number);
    block *= n;
  }
  return positions;
};

const broadcastShape = (a: readonly number[], b: readonly number[]): number[] => {
  const rank = Math.max(a.length, b.length);
  const at = (shape: readonly number[], i: number): number => shape[i - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, i) => Math.max(at(a, i), at(b, i)));
};

export const zipOnHost =
  (device: Device, f: (a: number, b: number) => number) =>
  (a: Info, b: Info): Info => {
    const shape = broadcastShape(a.shape, b.shape);
    const padded = ({ shape: own }: Info): number[] => [
      ...new Array<number>(shape.length - own.length).fill(1),
      ...own,
    ];
    const [left, right] = [device.valuesOf(a), device.valuesOf(b)];
    const [ia, ib] = [sources(padded(a), shape), sources(padded(b), shape)];
    const result = arrayFor(a, ia.length);
    for (let i = 0; i < ia.length; i++)
      result[i] = f(left[ia[i] as number] as number, right[ib[i] as number] as number);
    return device.place(result, shape);
  };
