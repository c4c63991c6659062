import type { Shape } from "../backend.js";
import { defineOp, dispatch, expectArguments } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { DTypeError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { broadcastShapes, formatShape, sameShape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { unbroadcast } from "./unbroadcast.js";

export interface MatmulOptions {
  /** Read a's last two axes swapped. */
  readonly transposeA?: boolean | undefined;
  /** Read b's last two axes swapped. */
  readonly transposeB?: boolean | undefined;
}

const rule = defineOp({
  name: "matmul",
  inputs: ["a", "b"],
  empty: 0,
  saves: { inputs: [0, 1] },
  gradient: (c) => {
    const { transposeA, transposeB } = c.attrs;
    const [a, b, g] = [c.input(0), c.input(1), c.grad()];
    const ga = (): Tensor =>
      transposeA
        ? matmul(b, g, { transposeA: transposeB, transposeB: true })
        : matmul(g, b, { transposeB: !transposeB });
    const gb = (): Tensor =>
      transposeB
        ? matmul(g, a, { transposeA: true, transposeB: transposeA })
        : matmul(a, g, { transposeA: !transposeA });
    return [c.needs[0] ? unbroadcast(ga(), a.shape) : null, c.needs[1] ? unbroadcast(gb(), b.shape) : null];
  },
});

/** Both, so that the kernel sees one batch axis: the same as the result's, or 1. */
const alignBatch = (x: Tensor, batch: Shape): Tensor => {
  const own = x.shape.slice(0, -2);
  return sameShape(own, batch) || sizeOf(own) === 1 ? x : x.expand([...batch, ...x.shape.slice(-2)]);
};

const asRank3 = (x: Tensor): Shape => [sizeOf(x.shape.slice(0, -2)), ...x.shape.slice(-2)];

/**
 * Matrix product over the last two axes; the axes before them broadcast.
 *
 * @throws ShapeError for a rank below 2 or inner sizes that differ; DTypeError unless both are the same float dtype.
 */
export const matmul = /* @__PURE__ */ scoped((a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor => {
  const { transposeA = false, transposeB = false } = options;
  expectDType("matmul", "a", a.dtype, floatDTypes);
  if (a.dtype !== b.dtype) throw new DTypeError(`matmul: a is ${a.dtype}, b is ${b.dtype}; expected the same`);
  if (a.rank < 2 || b.rank < 2)
    throw new ShapeError(`matmul: a is ${formatShape(a.shape)}, b ${formatShape(b.shape)}; expected rank 2 or more`);
  const [m, k] = (transposeA ? [a.shape.at(-1), a.shape.at(-2)] : a.shape.slice(-2)) as [number, number];
  const [kb, n] = (transposeB ? [b.shape.at(-1), b.shape.at(-2)] : b.shape.slice(-2)) as [number, number];
  if (k !== kb)
    throw new ShapeError(
      `matmul: a ${formatShape(a.shape)}${transposeA ? " transposed" : ""} has ${k} columns, ` +
        `b ${formatShape(b.shape)}${transposeB ? " transposed" : ""} has ${kb} rows`,
    );
  const batch = broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [x, y] = [alignBatch(a, batch), alignBatch(b, batch)];
  return dispatch(
    rule,
    [x, y],
    { transposeA, transposeB },
    { shape: [...batch, m, n], dtype: a.dtype },
    { inputs: [asRank3(x), asRank3(y)], outputs: [[sizeOf(batch), m, n]] },
  );
});

/**
 * y = x Wᵀ + b, as torch.nn.functional.linear: x [..., in], weight [out, in], bias [out] -> [..., out].
 *
 * @throws ShapeError naming the argument.
 */
export const linear = /* @__PURE__ */ scoped((x: Tensor, weight: Tensor, bias?: Tensor): Tensor => {
  expectArguments("linear", { x, weight, bias });
  if (weight.rank !== 2 || x.rank < 1 || x.shape.at(-1) !== weight.shape[1])
    throw new ShapeError(
      `linear: x is ${formatShape(x.shape)}, weight ${formatShape(weight.shape)}; expected [..., in] and [out, in]`,
    );
  const [out, inputs] = weight.shape as [number, number];
  if (bias && !sameShape(bias.shape, [out]))
    throw new ShapeError(`linear: bias is ${formatShape(bias.shape)}, expected [${out}]`);
  const rows = sizeOf(x.shape.slice(0, -1));
  const flat = x.rank === 2 ? x : x.reshape([rows, inputs]);
  const product = matmul(flat, weight, { transposeB: true });
  const y = bias ? product.add(bias) : product;
  return x.rank === 2 ? y : y.reshape([...x.shape.slice(0, -1), out]);
});
