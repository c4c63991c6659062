import type { PointwiseAttrs, PointwiseKind, PointwiseStep } from "../backend.js";
import { defineOp, dispatchAll, expectOperands, type OpRule } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";

/** What the chains of `pointwise` are written with. A tensor has all of it, and so has a value inside of a chain. */
export interface Arithmetic<T> {
  add(b: T | number): T;
  sub(b: T | number): T;
  mul(b: T | number): T;
  div(b: T | number): T;
  maximum(b: T | number): T;
  minimum(b: T | number): T;
  neg(): T;
  square(): T;
  sqrt(): T;
}

/** An element of a chain: of an input, or the result of a step. */
export interface PointwiseValue extends Arithmetic<PointwiseValue> {
  /** An input by its number, a step by its number behind the inputs. */
  readonly index: number;
}

/** How each step is computed where the backend has no kernel for chains. Every one is correctly rounded. */
const steps: { readonly [K in PointwiseKind]: (a: Tensor, b: Tensor | number) => Tensor } = {
  add: (a, b) => a.add(b),
  sub: (a, b) => a.sub(b),
  mul: (a, b) => a.mul(b),
  div: (a, b) => a.div(b),
  max: (a, b) => a.maximum(b),
  min: (a, b) => a.minimum(b),
  neg: (a) => a.neg(),
  square: (a) => a.square(),
  sqrt: (a) => a.sqrt(),
};

const rule: OpRule<"pointwise"> = defineOp({
  name: "pointwise",
  decompose: (inputs, attrs) => {
    const values = [...inputs];
    const operandOf = (index: number): Tensor | number =>
      index < 0 ? (attrs.scalars[-1 - index] as number) : (values[index] as Tensor);
    for (const [kind, a, b] of attrs.steps)
      values.push(steps[kind](operandOf(a) as Tensor, b === undefined ? 0 : operandOf(b)));
    return attrs.outputs.map((index) => values[index] as Tensor);
  },
});

type Trace = Omit<PointwiseAttrs, "outputs" | "key"> & { readonly steps: PointwiseStep[]; readonly scalars: number[] };

const traceValue = (trace: Trace, inputs: number, index: number): PointwiseValue => {
  const step = (...next: PointwiseStep): PointwiseValue => {
    trace.steps.push(next);
    return traceValue(trace, inputs, inputs + trace.steps.length - 1);
  };
  const binary =
    (kind: PointwiseKind) =>
    (b: PointwiseValue | number): PointwiseValue => {
      if (typeof b !== "number") return step(kind, index, b.index);
      trace.scalars.push(b);
      return step(kind, index, -trace.scalars.length);
    };
  return {
    index,
    add: binary("add"),
    sub: binary("sub"),
    mul: binary("mul"),
    div: binary("div"),
    maximum: binary("max"),
    minimum: binary("min"),
    neg: () => step("neg", index),
    square: () => step("square", index),
    sqrt: () => step("sqrt", index),
  };
};

/**
 * A chain of elementwise arithmetic on tensors of one shape and float dtype, as one op: backends that can run it without
 * storing what lies between. `build` is called once, with a value for each input; its results are the outputs. The
 * numbers are those of the same tensor methods called one by one.
 *
 *     const [next, velocity] = pointwise([p, g, v], (p, g, v) => {
 *       const velocity = v.mul(0.9).add(g);
 *       return [p.sub(velocity.mul(lr)), velocity];
 *     });
 *
 * @throws ArgumentError without inputs; ShapeError, DTypeError unless they agree.
 */
export const pointwise = /* @__PURE__ */ scoped(
  (inputs: readonly Tensor[], build: (...values: PointwiseValue[]) => readonly PointwiseValue[]): readonly Tensor[] => {
    const [first] = inputs;
    if (!first) throw new ArgumentError("pointwise: no inputs, expected at least one");
    expectOperands("pointwise", inputs);
    expectDType("pointwise", "input 0", first.dtype, floatDTypes);
    inputs.forEach(({ shape, dtype }, i) => {
      if (dtype !== first.dtype) throw new DTypeError(`pointwise: input ${i} is ${dtype}, input 0 is ${first.dtype}`);
      if (!sameShape(shape, first.shape))
        throw new ShapeError(
          `pointwise: input ${i} is ${formatShape(shape)}, input 0 is ${formatShape(first.shape)}; they must agree`,
        );
    });
    const trace: Trace = { steps: [], scalars: [] };
    const outputs = build(...inputs.map((_, i) => traceValue(trace, inputs.length, i))).map(({ index }) => index);
    const computed = [...new Set(outputs.filter((index) => index >= inputs.length))];
    const key = `${inputs.length}:${trace.steps.map((step) => step.join(" ")).join(";")}>${computed}`;
    const spec = { shape: first.shape, dtype: first.dtype };
    const results =
      computed.length === 0
        ? []
        : dispatchAll(
            rule,
            inputs,
            { ...trace, outputs: computed, key },
            computed.map(() => spec),
          );
    // What was handed through, or is asked for twice, needs no kernel: a view of it.
    const given = new Set<number>();
    return outputs.map((index) => {
      const result = index < inputs.length ? inputs[index] : results[computed.indexOf(index)];
      const isNew = index >= inputs.length && !given.has(index);
      given.add(index);
      return isNew ? (result as Tensor) : (result as Tensor).reshape(first.shape);
    });
  },
);
