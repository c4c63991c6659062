/** tfjs's kernels treat one-byte elements unevenly (some as floats, beyond the end of the buffer): they move as int32. */
import type { Bridge, Info } from "../bridge.js";

/** Any other info stays as it is. */
export const asIntegers = ({ device }: Bridge, x: Info): Info =>
  x.dtype === "bool" ? device.run("Cast", { x }, { dtype: "int32" }) : x;

/** x != 0 */
export const toBool = ({ device, primitives }: Bridge, x: Info): Info => {
  const zero = device.place(x.dtype === "float32" ? Float32Array.of(0) : Int32Array.of(0), []);
  return primitives.compare.ne[x.dtype === "float32" ? "float32" : "int32"](x, zero);
};

/** A move of elements, whatever their type. */
export const moving =
  (bridge: Bridge, f: (x: Info) => Info) =>
  (x: Info): Info =>
    x.dtype === "bool" ? toBool(bridge, f(asIntegers(bridge, x))) : f(x);
