import type { BinaryKind, CompareKind, DType } from "@striate/core/backend";
import { floatBits, type Stream } from "../stream.js";
import { type Pointwise, pointwise } from "./pointwise.js";
import { type GpuKernels, scalarType } from "./types.js";

const floats: { readonly [K in BinaryKind]: string } = {
  add: "x0 + x1",
  sub: "x0 - x1",
  mul: "multiply(x0, x1)",
  div: "divide(x0, x1)",
  max: "greater(x0, x1)",
  min: "lesser(x0, x1)",
  pow: "powOf(x0, x1)",
};

/** The kinds that take int32 and uint8. */
const integers: { readonly [K in BinaryKind]?: string } = {
  add: "x0 + x1",
  sub: "x0 - x1",
  mul: "x0 * x1",
  max: "max(x0, x1)",
  min: "min(x0, x1)",
};

const expressionOf = (kind: BinaryKind, dtype: DType): string => {
  if (dtype === "float32") return floats[kind];
  const value = integers[kind] as string;
  return dtype === "uint8" ? `(${value}) & 255` : value;
};

const floatComparisons: { readonly [K in CompareKind]: string } = {
  eq: "i32(equal(x0, x1))",
  ne: "i32(!equal(x0, x1))",
  lt: "i32(lessThan(x0, x1))",
  le: "i32(lessEqual(x0, x1))",
};

const integerComparisons: { readonly [K in CompareKind]: string } = {
  eq: "i32(x0 == x1)",
  ne: "i32(x0 != x1)",
  lt: "i32(x0 < x1)",
  le: "i32(x0 <= x1)",
};

/** A constant as a parameter of the dtype's type. */
export const constantWord = (value: number, dtype: DType): number =>
  dtype === "float32" ? floatBits(value) : dtype === "uint8" ? value & 255 : value | 0;

export const binaryKernels = (stream: Stream): Pick<GpuKernels, "binary" | "binaryScalar" | "compare" | "where"> => ({
  binary: ({ inputs: [a, b], outputs: [y], attrs: { kind } }) => {
    const call: Pointwise = { op: "binary", variant: `${kind}/${y.dtype}`, value: expressionOf(kind, y.dtype) };
    pointwise(stream, call, [a, b], y);
  },

  binaryScalar: {
    run: ({ inputs: [x], outputs: [y], attrs: { kind, value, side } }) => {
      const [a, b] = side === "left" ? ["p.value", "x0"] : ["x0", "p.value"];
      const call: Pointwise = {
        op: "binaryScalar",
        variant: `${kind}/${side}/${y.dtype}`,
        value: expressionOf(kind, y.dtype).replace("x0", "#").replace("x1", b).replace("#", a),
        params: [{ name: "value", type: scalarType(x.dtype) }],
        words: [constantWord(value, x.dtype)],
      };
      pointwise(stream, call, [x], y);
    },
  },

  compare: ({ inputs: [a, b], outputs: [y], attrs: { kind } }) => {
    const value = (a.dtype === "float32" ? floatComparisons : integerComparisons)[kind];
    pointwise(stream, { op: "compare", variant: kind, value }, [a, b], y);
  },

  where: ({ inputs: [condition, a, b], outputs: [y] }) => {
    pointwise(stream, { op: "where", variant: "", value: "select(x2, x1, x0 != 0)" }, [condition, a, b], y);
  },
});
