import { beforeEach, describe, expect, test } from "vitest";
import {
  type Backend,
  customGradient,
  DisposedError,
  GradientError,
  gradcheck,
  memoryUsage,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../index.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createMinimalBackend();
});

const vector = (...values: number[]): Tensor => tensor(values, { backend, dtype: "float64" });
const gradients = async (fn: () => Tensor, ...x: Tensor[]): Promise<unknown> =>
  Promise.all(valueAndGrad(() => fn().sum(), x).grads.map((g) => g.toArray()));

describe("customGradient", () => {
  test("a straight-through estimator", async () => {
    const roundThrough = customGradient("roundThrough", {
      forward: (x) => ({ value: x.round() }),
      backward: ({ grad }) => [grad],
    });
    const x = vector(0.4, 1.6);
    expect(await roundThrough(x).toArray()).toEqual([0, 2]);
    expect(await gradients(() => roundThrough(x).mul(3), x)).toEqual([[3, 3]]);
  });

  test("reads inputs, value and residuals, which are freed with the graph", async () => {
    const hypot = customGradient("hypot", {
      forward: (a, b) => {
        const value = (a as Tensor)
          .square()
          .add((b as Tensor).square())
          .sqrt();
        return { value, residuals: [value.reciprocal()] };
      },
      backward: ({ grad, inputs, residuals: [inverse], value }) => {
        expect(value.shape).toEqual([2]);
        return inputs.map((x) => grad.mul(x).mul(inverse as Tensor));
      },
    });
    const inputs = [vector(3, 1), vector(4, 2)];
    const before = memoryUsage(backend);
    await gradcheck(hypot, inputs);
    expect(memoryUsage(backend)).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });

  test("is differentiated a second time through its backward", async () => {
    const cube = customGradient("cube", {
      forward: (x) => ({ value: x.pow(3) }),
      backward: ({ grad, inputs: [x] }) => [grad.mul((x as Tensor).square()).mul(3)],
    });
    const x = vector(2);
    const slope = (): Tensor => valueAndGrad(() => cube(x), [x], { createGraph: true }).grads[0] as Tensor;
    expect(await gradients(slope, x)).toEqual([[12]]);
  });

  test("forward may return an input, or a tensor from outside", async () => {
    const x = vector(1, 2);
    const reversed = customGradient("reversed", {
      forward: (t) => ({ value: t }),
      backward: ({ grad }) => [grad.neg()],
    });
    const y = reversed(x);
    y.dispose();
    expect(x.isDisposed).toBe(false);
    expect(await gradients(() => reversed(x), x)).toEqual([[-1, -1]]);
  });

  test("a gradient that is itself a saved input carries no history", () => {
    const own = customGradient("own", {
      forward: (x) => ({ value: x.exp() }),
      backward: ({ inputs: [x] }) => [x as Tensor],
    });
    const x = vector(1, 2).setRequiresGrad(true);
    own(x).sum().backward();
    expect(x.grad?.requiresGrad).toBe(false);
  });

  test("an integer result has no gradient and keeps nothing alive", () => {
    const position = customGradient("position", {
      forward: (x) => ({ value: x.argmax() }),
      backward: ({ grad }) => [grad],
    });
    const x = vector(1, 2).setRequiresGrad(true);
    const y = position(x);
    expect(y.requiresGrad).toBe(false);
    for (const t of [x, y]) t.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test("null means no gradient", async () => {
    const first = customGradient("first", {
      forward: (a) => ({ value: a.mul(2) }),
      backward: ({ grad }) => [grad, null],
    });
    const [a, b] = [vector(1), vector(2)];
    expect(await gradients(() => first(a, b), a, b)).toEqual([[1], [0]]);
  });

  test("refuses the wrong number of gradients, wrong shapes, and disposed inputs", () => {
    const wrong = (backward: (grad: Tensor) => (Tensor | null)[]): ((x: Tensor) => Tensor) =>
      customGradient("wrong", { forward: (x) => ({ value: x.mul(2) }), backward: (c) => backward(c.grad) });
    const x = vector(1, 2);
    const run = (f: (x: Tensor) => Tensor) => () => valueAndGrad(() => f(x).sum(), [x]);
    expect(run(wrong(() => []))).toThrow(/^wrong: backward gave 0 gradients for 1 inputs/);
    expect(run(wrong((g) => [g.sum()]))).toThrow(
      /^wrong: the gradient of input 0 is float64 \[\], the input float64 \[2\]/,
    );
    expect(run(wrong((g) => [g.cast("float32")]))).toThrow(GradientError);
    x.dispose();
    expect(() => wrong((g) => [g])(x)).toThrow(DisposedError);
  });
});
