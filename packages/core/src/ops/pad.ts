import type { Padding2d, Shape } from "../backend.js";
import { constant, defineOp, dispatch, expectArguments, view } from "../dispatch.js";
import { expectElement } from "../dtype.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";

const rule = defineOp({
  name: "pad",
  empty: (attrs) => attrs.value,
  gradient: (c) => {
    const { shape } = c.inputSpecs[0] as { shape: Shape };
    const { before } = c.attrs;
    return [c.grad().slice({ begin: before, end: shape.map((n, i) => n + (before[i] as number)) })];
  },
});

export interface PadOptions {
  /** Elements added in front, an axis. */
  readonly before: readonly number[];
  /** Elements added behind, an axis. */
  readonly after: readonly number[];
  /** Default 0. */
  readonly value?: number | undefined;
}

/** Surround x with a constant. @throws ShapeError unless there is one non-negative integer an axis on either side. */
export const pad = (x: Tensor, { before, after, value = 0 }: PadOptions): Tensor => {
  if (
    before.length !== x.rank ||
    after.length !== x.rank ||
    [...before, ...after].some((n) => !Number.isInteger(n) || n < 0)
  )
    throw new ShapeError(
      `pad: before ${formatShape(before)}, after ${formatShape(after)}; ` +
        `expected ${x.rank} non-negative integers each for ${formatShape(x.shape)}`,
    );
  expectElement("pad", value, x.dtype);
  if ([...before, ...after].every((n) => n === 0)) return view("pad", x, x.shape);
  const shape = x.shape.map((n, i) => n + (before[i] as number) + (after[i] as number));
  return dispatch(rule, [x], { before: [...before], after: [...after], value }, { shape, dtype: x.dtype });
};

/** How `pad2d` finds what lies outside: a constant, the mirror image without the edge, or the edge repeated. */
export type PadMode = "constant" | "reflect" | "replicate";

export interface Pad2dOptions {
  /** Default "constant". */
  readonly mode?: PadMode | undefined;
  /** For "constant"; default 0. */
  readonly value?: number | undefined;
}

/** Index into [0, n) for position i that may lie outside. */
const outside: { readonly [M in Exclude<PadMode, "constant">]: (i: number, n: number) => number } = {
  reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i),
  replicate: (i, n) => Math.min(Math.max(i, 0), n - 1),
};

/**
 * Pad the last two axes by [top, bottom, left, right] elements.
 *
 * @throws ShapeError for a rank below 2, negative amounts, or a reflection that reaches past the far edge.
 */
export const pad2d = /* @__PURE__ */ scoped((x: Tensor, padding: Padding2d, options: Pad2dOptions = {}): Tensor => {
  const { mode = "constant", value = 0 } = options;
  expectArguments("pad2d", { x });
  if (x.rank < 2) throw new ShapeError(`pad2d: x is ${formatShape(x.shape)}, expected rank 2 or more`);
  const [top, bottom, left, right] = padding;
  const lead = new Array<number>(x.rank - 2).fill(0);
  if (!["constant", "reflect", "replicate"].includes(mode))
    throw new ArgumentError(`pad2d: mode is ${mode}, expected constant, reflect or replicate`);
  if (mode === "constant") return pad(x, { before: [...lead, top, left], after: [...lead, bottom, right], value });
  const [height, width] = x.shape.slice(-2) as [number, number];
  const most = (n: number): number => (mode === "reflect" ? n - 1 : n > 0 ? Number.POSITIVE_INFINITY : 0);
  if (
    padding.some((n) => !Number.isInteger(n) || n < 0) ||
    Math.max(top, bottom) > most(height) ||
    Math.max(left, right) > most(width)
  )
    throw new ShapeError(
      `pad2d: padding ${formatShape(padding)} does not suit mode ${mode} and x ${formatShape(x.shape)}`,
    );
  const along = (t: Tensor, axis: number, n: number, before: number, after: number): Tensor => {
    if (before + after === 0) return t;
    const index = Int32Array.from({ length: n + before + after }, (_, i) => outside[mode](i - before, n));
    return t.indexSelect(axis, constant(t, { shape: [index.length], dtype: "int32" }, index));
  };
  const y = along(along(x, x.rank - 2, height, top, bottom), x.rank - 1, width, left, right);
  return y === x ? view("pad2d", x, x.shape) : y;
});
