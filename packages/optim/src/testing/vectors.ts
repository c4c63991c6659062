import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const root = process.env["STRIATE_VECTORS"]
  ? pathToFileURL(`${process.env["STRIATE_VECTORS"]}/`)
  : new URL("../../../conformance/vectors/", import.meta.url);

/** A JSON file of the golden vectors, which come from PyTorch in float64. */
export const readVectors = <T>(path: string): T => JSON.parse(readFileSync(new URL(path, root), "utf8")) as T;

/** PyTorch's option names in camelCase: `weight_decay`, `T_max` and `T_0` become `weightDecay`, `tMax` and `t0`. */
export const camelCaseKeys = (options: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(options).map(([key, value]) => [
      key.replace(/^T/, "t").replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );

/** The largest |a - b| / max(|b|, floor). */
export const worstRelative = (a: ArrayLike<number>, b: ArrayLike<number>, floor: number): number => {
  let worst = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < b.length; i++) {
    const error = Math.abs((a[i] as number) - (b[i] as number)) / Math.max(Math.abs(b[i] as number), floor);
    if (!(error <= worst)) worst = error;
  }
  return worst;
};
