import type { DType } from "@striate/core/backend";
import type { Stream } from "../stream.js";
import { constantWord } from "./binary.js";
import { pointwise } from "./pointwise.js";
import { type GpuKernels, scalarType } from "./types.js";

const castTo = (from: DType, to: DType): string => {
  if (from === to) return "x0";
  if (to === "bool") return from === "float32" ? "i32(!isZero(x0))" : "i32(x0 != 0)";
  if (to === "float32") return "f32(x0)";
  const integer = from === "float32" ? "i32(x0)" : "x0";
  return to === "uint8" ? `${integer} & 255` : integer;
};

export const fillKernels = (stream: Stream): Pick<GpuKernels, "fill" | "cast"> => ({
  fill: ({ outputs: [y], attrs: { value } }) => {
    const params = [{ name: "value", type: scalarType(y.dtype) }];
    const words = [constantWord(value, y.dtype)];
    pointwise(stream, { op: "fill", variant: "", value: "p.value", params, words }, [], y);
  },

  cast: ({ inputs: [x], outputs: [y] }) => {
    pointwise(stream, { op: "cast", variant: `${x.dtype}-${y.dtype}`, value: castTo(x.dtype, y.dtype) }, [x], y);
  },
});
