/**
 * Tensors that any language can rebuild bit for bit: value i of tensor NAME is
 * u = (fmix32(fnv1a(salt + NAME) + i·0x9E3779B9 mod 2^32) >> 8)·2^-23 - 1, scaled by what the tensor is for, computed in
 * double and rounded to float32. fmix32 is MurmurHash3's finaliser.
 */
import { fnv1a } from "../generate.js";
import type { RebuiltSpec } from "./parse.js";

const fmix32 = (hash: number): number => {
  let x = hash;
  x ^= x >>> 16;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  x ^= x >>> 16;
  return x >>> 0;
};

/** What u is scaled and shifted by. */
const scalings: { readonly [K in RebuiltSpec["kind"]]: (shape: readonly number[]) => readonly [number, number] } = {
  weight: (shape) => [Math.sqrt(6 / shape.slice(1).reduce((a, b) => a * b, 1)), 0],
  scale: () => [0.1, 1],
  bias: () => [0.1, 0],
  var: () => [0.5, 1],
};

/** Values scale · u + shift of every element, u in [-1, 1). Layers of 10^8 parameters are filled in place. */
const fill = <T extends Float32Array | Float64Array>(
  values: T,
  name: string,
  [scale, shift]: readonly [number, number],
): T => {
  const start = fnv1a(name);
  for (let i = 0; i < values.length; i++) {
    const u = (fmix32((start + Math.imul(i, 0x9e3779b9)) | 0) >>> 8) * 2 ** -23 - 1;
    values[i] = shift + scale * u;
  }
  return values;
};

/** u of every element, in [-1, 1). */
export const hashedUniform = (name: string, salt: string, count: number): Float64Array =>
  fill(new Float64Array(count), salt + name, [1, 0]);

export const rebuild = ({ name, shape, kind }: RebuiltSpec, salt: string): Float32Array => {
  const count = shape.reduce((a, b) => a * b, 1);
  return fill(new Float32Array(count), salt + name, scalings[kind](shape));
};

/** What a trainable tensor of that name and shape is: weights have two or more axes, scales belong to norms. */
export const kindOf = (name: string, shape: readonly number[]): RebuiltSpec["kind"] => {
  if (shape.length > 1) return "weight";
  return name.endsWith("weight") ? "scale" : "bias";
};
