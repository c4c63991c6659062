import type { HostArray, TensorSpec } from "./backend.js";
import { decode, isFloat } from "./dtype.js";
import { formatShape, rowMajorStrides } from "./shape.js";

export interface FormatOptions {
  /** Significant digits of floats. Default 4. */
  readonly precision?: number | undefined;
  /** Axes longer than this show their first and last `edge` entries only. Default 6. */
  readonly threshold?: number | undefined;
  /** Default 3. */
  readonly edge?: number | undefined;
}

/** `float32 [2, 3] on cpu` */
export const formatHeader = (spec: TensorSpec, backend: string): string =>
  `${spec.dtype} ${formatShape(spec.shape)} on ${backend}`;

/** The elements as nested brackets with columns aligned, long axes shortened. */
export const formatData = (spec: TensorSpec, data: HostArray, options: FormatOptions = {}): string => {
  const { precision = 4, threshold = 6, edge = 3 } = options;
  const { shape, dtype } = spec;
  const numbers = decode(dtype, data);
  const element = (value: number): string => {
    if (dtype === "bool") return value ? "true" : "false";
    if (!isFloat(dtype)) return `${value}`;
    const text = `${Number.isInteger(value) ? value : Number(value.toPrecision(precision))}`;
    return /^-?\d+$/.test(text) ? `${text}.` : text;
  };
  const strides = rowMajorStrides(shape);
  const shown = shape.map((n) =>
    n <= Math.max(threshold, 2 * edge)
      ? Array.from({ length: n }, (_, i) => i)
      : [...Array(edge).keys(), -1, ...Array.from({ length: edge }, (_, i) => n - edge + i)],
  );
  let width = 0;
  const measure = (axis: number, at: number): void => {
    if (axis === shape.length) width = Math.max(width, element(numbers[at] as number).length);
    else for (const i of shown[axis] as number[]) if (i >= 0) measure(axis + 1, at + i * (strides[axis] as number));
  };
  measure(0, 0);
  const render = (axis: number, at: number): string => {
    if (axis === shape.length) return element(numbers[at] as number).padStart(width);
    const parts = (shown[axis] as number[]).map((i) =>
      i < 0 ? "…" : render(axis + 1, at + i * (strides[axis] as number)),
    );
    const below = shape.length - axis - 1;
    return `[${parts.join(below === 0 ? ", " : `,${"\n".repeat(below)}${" ".repeat(axis + 1)}`)}]`;
  };
  return render(0, 0);
};
