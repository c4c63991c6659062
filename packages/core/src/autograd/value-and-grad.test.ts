import { beforeEach, describe, expect, test } from "vitest";
import {
  ArgumentError,
  type Backend,
  customGradient,
  DisposedError,
  DTypeError,
  GradientError,
  memoryUsage,
  noGrad,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../index.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createMinimalBackend();
});

const vector = (...values: number[]): Tensor => tensor(values, { backend });
const leaf = (...values: number[]): Tensor => tensor(values, { backend, requiresGrad: true });
const first = async (tensors: readonly Tensor[]): Promise<unknown> => tensors[0]?.toArray();

describe("valueAndGrad", () => {
  test("takes rules in place of the ops' own, for this pass alone", async () => {
    const x = vector(-1, 2, 3);
    const weights = vector(5, 6, -7);
    const loss = (): Tensor => x.relu().mul(weights).sum();
    // The rule of deconvolution networks: the gradient is rectified, not masked.
    const rectified = valueAndGrad(loss, [x], { rules: { relu: (c) => [c.grad().relu()] } });
    expect(await first(rectified.grads)).toEqual([5, 6, 0]);
    expect(await first(valueAndGrad(loss, [x]).grads)).toEqual([0, 6, -7]);
  });

  test("gives the value and a gradient for each parameter, and leaves nothing else behind", async () => {
    const [w, b] = [vector(1, 2), vector(3, 4)];
    const { value, grads } = valueAndGrad(() => w.mul(b).mul(w).sum(), [w, b]);
    expect(await value.item()).toBe(1 * 3 + 4 * 4);
    expect(value.requiresGrad).toBe(false);
    expect(await Promise.all(grads.map((g) => g.toArray()))).toEqual([
      [6, 16],
      [1, 4],
    ]);
    expect(grads.some((g) => g.requiresGrad)).toBe(false);
    for (const t of [value, ...grads, w, b]) t.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0, bytes: 0 });
  });

  test("does not change what parameters require", () => {
    const [constant, parameter] = [vector(1), leaf(1)];
    valueAndGrad(() => constant.mul(parameter), [constant, parameter]);
    expect([constant.requiresGrad, parameter.requiresGrad]).toEqual([false, true]);
    expect(() =>
      valueAndGrad(() => {
        throw new Error("stop");
      }, [constant]),
    ).toThrow("stop");
    expect(constant.requiresGrad).toBe(false);
  });

  test("gives a handle of its own to a parameter that is listed twice", async () => {
    const x = vector(3);
    const { grads } = valueAndGrad(() => x.square(), [x, x]);
    grads[0]?.dispose();
    expect(await grads[1]?.toArray()).toEqual([6]);
  });

  test("gives zeros for a parameter that the value does not depend on", async () => {
    const [x, unused] = [vector(3), vector(1, 2)];
    const { grads } = valueAndGrad(() => x.square(), [unused, x]);
    expect(await first(grads)).toEqual([0, 0]);
  });

  test("the value may be a parameter itself", async () => {
    const x = vector(5);
    for (const createGraph of [false, true]) {
      const { value, grads } = valueAndGrad(() => x, [x], { createGraph });
      value.dispose();
      expect(x.isDisposed).toBe(false);
      expect(await first(grads)).toEqual([1]);
    }
  });

  test("adds up the paths that lead to a parameter", async () => {
    const x = vector(2);
    const { grads } = valueAndGrad(
      () =>
        x
          .mul(x)
          .add(x)
          .add(x.reshape([1]))
          .sub(x.neg()),
      [x],
    );
    expect(await first(grads)).toEqual([4 + 1 + 1 + 1]);
  });

  test("records even inside noGrad", async () => {
    const x = vector(2);
    expect(await first(noGrad(() => valueAndGrad(() => x.square(), [x])).grads)).toEqual([4]);
  });

  test("follows a parameter that is no leaf down to it and not further", async () => {
    const x = leaf(3);
    const h = x.square();
    const { grads } = valueAndGrad(() => h.mul(2), [h]);
    expect(await first(grads)).toEqual([2]);
    h.backward();
    expect(await x.grad?.toArray()).toEqual([6]);
  });

  test("refuses a value of several elements, one without a path, no parameters, integers, disposed ones", () => {
    const x = vector(1, 2);
    const gone = vector(1);
    gone.dispose();
    const integers = tensor([1], { backend, dtype: "int32" });
    const before = memoryUsage(backend);
    expect(() => valueAndGrad(() => x.mul(2), [x])).toThrow(/^valueAndGrad: the value is \[2\], expected one element/);
    expect(() => valueAndGrad(() => x.detach().sum(), [x])).toThrow(GradientError);
    expect(() => valueAndGrad(() => noGrad(() => x.sum()), [x])).toThrow(GradientError);
    expect(() => valueAndGrad(() => x.sum(), [])).toThrow(ArgumentError);
    expect(() => valueAndGrad(() => x.sum(), [x, integers])).toThrow(DTypeError);
    expect(() => valueAndGrad(() => x.sum(), [gone])).toThrow(/parameter 0 \(float32 \[1\]\) was disposed/);
    expect(memoryUsage(backend)).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });

  test("refuses a parameter that the function disposes of", () => {
    const [x, y] = [vector(1), vector(2)];
    const dispose = (): Tensor => {
      const value = x.mul(y);
      x.dispose();
      return value;
    };
    expect(() => valueAndGrad(dispose, [y, x])).toThrow(/^valueAndGrad: parameter 1 .* was disposed/);
    y.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test("refuses an asynchronous function", async () => {
    const x = vector(1);
    let ended: Promise<unknown> = Promise.resolve();
    const body = (): Promise<Tensor> => {
      const work = (async () => x.square())();
      ended = work;
      return work;
    };
    // @ts-expect-error: its type says so too.
    expect(() => valueAndGrad(body, [x])).toThrow(ArgumentError);
    await ended;
  });

  test("an exception leaks nothing, whether in the function or in a gradient", () => {
    const x = vector(1, 2);
    const before = memoryUsage(backend);
    const fail = (): Tensor => {
      x.exp().mul(x.exp());
      throw new Error("stop");
    };
    expect(() => valueAndGrad(fail, [x])).toThrow("stop");
    const broken = customGradient("broken", {
      forward: (t) => ({ value: t.exp() }),
      backward: ({ grad }) => {
        grad.exp();
        throw new Error("stop");
      },
    });
    expect(() => valueAndGrad(() => broken(x.exp()).exp().sum(), [x])).toThrow("stop");
    expect(() => valueAndGrad(() => broken(x.exp()).exp().sum(), [x], { createGraph: true })).toThrow("stop");
    expect(memoryUsage(backend)).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });
});

describe("second derivatives", () => {
  test("nested calls differentiate the inner gradient", async () => {
    const x = vector(3);
    const outer = valueAndGrad(() => valueAndGrad(() => x.pow(3), [x], { createGraph: true }).grads[0] as Tensor, [x]);
    expect(await outer.value.item()).toBe(27);
    expect(await first(outer.grads)).toEqual([18]);
    for (const t of [outer.value, ...outer.grads, x]) t.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test("three calls deep", async () => {
    const x = vector(2);
    const derive =
      (f: () => Tensor): (() => Tensor) =>
      () =>
        valueAndGrad(f, [x], { createGraph: true }).grads[0] as Tensor;
    expect(await valueAndGrad(derive(derive(() => x.pow(4))), [x]).value.item()).toBe(48);
    expect(await first(valueAndGrad(derive(derive(() => x.pow(4))), [x]).grads)).toEqual([48]);
  });

  test("a penalty on the gradient at an input that requires none reaches the weights", async () => {
    const [x, w] = [vector(3), vector(5)];
    const { grads } = valueAndGrad(() => {
      const inner = valueAndGrad(() => w.square().mul(x.square()), [x], { createGraph: true });
      return (inner.grads[0] as Tensor).square();
    }, [w]);
    // d/dw (2 x w²)² = 16 x² w³
    expect(await first(grads)).toEqual([16 * 9 * 125]);
    expect(x.requiresGrad).toBe(false);
  });

  test("an inner gradient without createGraph is a constant", async () => {
    const x = vector(3);
    const { grads } = valueAndGrad(() => (valueAndGrad(() => x.square(), [x]).grads[0] as Tensor).mul(x), [x]);
    expect(await first(grads)).toEqual([6]);
  });

  test("an inner parameter may be a result of the outer function", async () => {
    const x = vector(2);
    const { grads } = valueAndGrad(() => {
      const h = x.square();
      const inner = valueAndGrad(() => h.pow(3), [h], { createGraph: true });
      return inner.value.add(inner.grads[0] as Tensor);
    }, [x]);
    // x⁶ + 3x⁴
    expect(await first(grads)).toEqual([6 * 32 + 12 * 8]);
  });
});

describe("the graph", () => {
  test("20,000 ops deep: no stack overflow, and everything is freed", async () => {
    const x = vector(1);
    const deep = (): Tensor => {
      let y = x.exp();
      for (let i = 0; i < 20_000; i++) y = y.neg();
      return y;
    };
    const { value, grads } = valueAndGrad(deep, [x]);
    expect(await first(grads)).toEqual([Math.fround(Math.E)]);
    for (const t of [value, ...grads]) t.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1 });
    x.setRequiresGrad(true);
    scope(() => void deep());
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1 });
  });

  test("activations are freed as backward passes them: the peak does not grow with the gradients", () => {
    const x = tensor(new Float32Array(1000), { backend });
    const layers = 10;
    valueAndGrad(() => {
      let y = x.exp();
      for (let i = 1; i < layers; i++) y = y.exp();
      return y.sum();
    }, [x]);
    // Activations and x make layers + 1; a rule holds two gradients besides, and there are some scalars.
    expect(memoryUsage(backend).peakBytes).toBeLessThanOrEqual((layers + 1 + 2) * 4000 + 100);
  });

  test("a handle disposed on the way frees what no gradient rule reads, and only that", async () => {
    const x = tensor(new Float32Array(1000), { backend });
    const { grads } = valueAndGrad(() => {
      let y = x.exp();
      for (let i = 0; i < 10; i++) {
        const next = y.mul(2);
        y.dispose();
        y = next;
      }
      return y.sum();
    }, [x]);
    expect((await grads[0]?.data())?.every((g) => g === 2 ** 10)).toBe(true);
    // x, e^x which its own gradient reads, and two products, or two gradients on the way back.
    expect(memoryUsage(backend).peakBytes).toBeLessThanOrEqual(4 * 4000 + 100);
  });

  test("a loss that is never differentiated is freed with its scope", () => {
    const w = leaf(1, 2);
    scope(() => void w.exp().mul(w).softmax().sum());
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1 });
  });

  test("a graph lives as long as its last handle", () => {
    const w = leaf(1, 2);
    const y = scope(() => w.exp().exp().sum());
    expect(memoryUsage(backend).tensors).toBe(2);
    expect(memoryUsage(backend).storages).toBe(4);
    y.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1 });
  });

  test("createGraph keeps the graph until value and gradients go", () => {
    const x = leaf(1, 2);
    const { value, grads } = valueAndGrad(() => x.exp().sum(), [x], { createGraph: true });
    expect([value.requiresGrad, grads[0]?.requiresGrad]).toEqual([true, true]);
    value.dispose();
    grads[0]?.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1 });
  });
});

describe("backward", () => {
  test("adds to .grad of every leaf that requires one", async () => {
    const [a, b, constant] = [leaf(2), leaf(3), vector(4)];
    scope(() => a.mul(b).mul(constant).backward());
    scope(() => a.square().backward());
    expect(await Promise.all([a, b].map((t) => t.grad?.toArray()))).toEqual([[12 + 4], [8]]);
    expect(constant.grad).toBeNull();
    expect(a.grad?.requiresGrad).toBe(false);
    for (const t of [a, b, constant]) t.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test("takes the gradient that arrives, and cuts its history", async () => {
    const [x, g] = [leaf(1, 2), leaf(5, 7)];
    x.reshape([2]).backward({ gradient: g });
    expect(await x.grad?.toArray()).toEqual([5, 7]);
    expect(x.grad?.requiresGrad).toBe(false);
    expect(g.grad).toBeNull();
  });

  test("runs a second time only with retainGraph", async () => {
    const x = leaf(3);
    const y = x.square();
    y.backward({ retainGraph: true });
    y.backward();
    expect(await x.grad?.toArray()).toEqual([12]);
    expect(() => y.backward()).toThrow(/^square: backward was called a second time/);
  });

  test("a part of the graph that two losses share is consumed by the first", () => {
    const h = leaf(3).square();
    h.mul(2).backward();
    expect(() => h.mul(3).backward()).toThrow(GradientError);
  });

  test("passes by a leaf that was disposed", () => {
    const [x, gone] = [leaf(1), leaf(2)];
    const y = x.mul(gone);
    gone.dispose();
    y.backward();
    for (const t of [x, y]) t.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test("refuses outputs without history or of several elements, and gradients that do not fit", async () => {
    const x = leaf(1, 2);
    expect(() => vector(1).backward()).toThrow(/^backward: the output depends on nothing/);
    expect(() => x.mul(2).backward()).toThrow(/^backward: the value is \[2\]/);
    expect(() => x.mul(2).backward({ gradient: vector(1) })).toThrow(/^backward: gradient is float32 \[1\]/);
    const double = tensor([1, 2], { backend, dtype: "float64" });
    expect(() => x.mul(2).backward({ gradient: double })).toThrow(GradientError);
    const elsewhere = tensor([1, 2], { backend: await createMinimalBackend() });
    expect(() => x.mul(2).backward({ gradient: elsewhere })).toThrow(ArgumentError);
    elsewhere.dispose();
    expect(() => x.mul(2).backward({ gradient: elsewhere })).toThrow(DisposedError);
    x.dispose();
    expect(() => x.backward()).toThrow(DisposedError);
  });
});

describe("noGrad", () => {
  test("records nothing inside, and records again after an exception", () => {
    const x = leaf(1);
    expect(noGrad(() => x.mul(2)).requiresGrad).toBe(false);
    expect(() =>
      noGrad(() => {
        throw new Error("stop");
      }),
    ).toThrow("stop");
    expect(x.mul(2).requiresGrad).toBe(true);
  });

  test("refuses an asynchronous body", () => {
    // @ts-expect-error: its type says so too.
    expect(() => noGrad(async () => 1)).toThrow(ArgumentError);
  });
});
