import fs from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { carriers, type HostTensor, type SafetensorsDType } from "../host-tensor.js";

/** A file that tools/interop/torch_fixtures.py wrote. */
export const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

/** Tensors as bits, so that NaN and -0 count. */
export const bitsOf = (tensors: Iterable<readonly [string, HostTensor]>): Record<string, object> =>
  Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape: [...shape], hex: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex") },
    ]),
  );

/** What PyTorch reads in the file, as `bitsOf`. */
export const expectedBits = async (name: string): Promise<Record<string, object>> => {
  const described = JSON.parse(await fs.readFile(fixture(`${name}.json`), "utf8")) as Record<
    string,
    { dtype: SafetensorsDType; shape: number[]; hex: string; size: number }
  >;
  for (const { dtype, size } of Object.values(described))
    if (carriers[dtype].BYTES_PER_ELEMENT !== size) throw new Error(`${dtype} has ${size} bytes in PyTorch`);
  return Object.fromEntries(
    Object.entries(described).map(([key, { dtype, shape, hex }]) => [key, { dtype, shape, hex }]),
  );
};
