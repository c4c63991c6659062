import { constant, defineOp, dispatch, expectOperands, view } from "../dispatch.js";
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, normalizeAxis, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";

const rule = defineOp({
  name: "concat",
  gradient: (c) => {
    const g = c.grad();
    const { axis } = c.attrs;
    let from = 0;
    return c.inputSpecs.map(({ shape }, input) => {
      const begin = shape.map((_, i) => (i === axis ? from : 0));
      from += shape[axis] as number;
      if (!c.needs[input]) return null;
      return g.slice({ begin, end: shape.map((n, i) => (i === axis ? from : n)) });
    });
  },
  // Padded parts are selected, not added: -0 and NaN keep their bits.
  decompose: (inputs, { axis }, [output]) => {
    const { shape } = output as { shape: readonly number[] };
    const total = shape[axis] as number;
    let from = 0;
    const parts = inputs.map((x) => {
      const n = x.shape[axis] as number;
      const at = (k: number): number[] => shape.map((_, i) => (i === axis ? k : 0));
      const padded = x.pad({ before: at(from), after: at(total - from - n) });
      const here = Uint8Array.from({ length: total }, (_, i) => Number(i >= from && i < from + n));
      const mask = constant(x, { shape: shape.map((_, i) => (i === axis ? total : 1)), dtype: "bool" }, here);
      from += n;
      return { padded, mask };
    });
    return [parts.map((p) => p.padded).reduce((y, padded, i) => (parts[i] as { mask: Tensor }).mask.where(padded, y))];
  },
});

const expectList = (op: string, tensors: readonly Tensor[]): Tensor => {
  const [first] = tensors;
  if (!first) throw new ArgumentError(`${op}: expected at least one tensor`);
  const names = tensors.map((_, i) => `tensor ${i}`);
  expectOperands(op, tensors, names);
  for (const [i, t] of tensors.entries())
    if (t.dtype !== first.dtype)
      throw new DTypeError(`${op}: tensor ${i} is ${t.dtype}, tensor 0 is ${first.dtype}; expected the same`);
  return first;
};

/** Join tensors that agree in every other axis along `axis`. @throws ArgumentError for an empty list. */
export const concat = (tensors: readonly Tensor[], axis: number): Tensor => {
  const first = expectList("concat", tensors);
  const a = normalizeAxis("concat", axis, first.rank);
  for (const [i, t] of tensors.entries())
    if (t.rank !== first.rank || t.shape.some((n, j) => j !== a && n !== first.shape[j]))
      throw new ShapeError(
        `concat: tensor ${i} is ${formatShape(t.shape)}, tensor 0 ${formatShape(first.shape)}; only axis ${a} may differ`,
      );
  const parts = tensors.filter((t) => t.shape[a] !== 0);
  const [only = first] = parts;
  if (parts.length <= 1) return view("concat", only, only.shape);
  const shape = first.shape.map((n, i) => (i === a ? parts.reduce((s, t) => s + (t.shape[a] as number), 0) : n));
  return dispatch(rule, parts, { axis: a }, { shape, dtype: first.dtype });
};

/** Join tensors of one shape along a new axis. @throws ArgumentError for an empty list, ShapeError. */
export const stack = /* @__PURE__ */ scoped((tensors: readonly Tensor[], axis: number = 0): Tensor => {
  const first = expectList("stack", tensors);
  const a = normalizeAxis("stack", axis, first.rank + 1);
  for (const [i, t] of tensors.entries())
    if (!sameShape(t.shape, first.shape))
      throw new ShapeError(
        `stack: tensor ${i} is ${formatShape(t.shape)}, tensor 0 ${formatShape(first.shape)}; expected the same`,
      );
  return concat(
    tensors.map((t) => t.unsqueeze(a)),
    a,
  );
});
