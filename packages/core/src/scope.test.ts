import { beforeEach, describe, expect, test } from "vitest";
import { ArgumentError, type Backend, keep, memoryUsage, ones, scope, type Tensor } from "./index.js";
import { createMinimalBackend } from "./testing/minimal-backend.js";

let backend: Backend;
let x: Tensor;
beforeEach(async () => {
  backend = await createMinimalBackend();
  x = ones([2], { backend });
});
const alive = (): number => memoryUsage(backend).tensors;

describe("scope", () => {
  test("disposes what its body makes, except the result", () => {
    const y = scope(() => x.add(1).mul(2).neg());
    expect(y.isDisposed).toBe(false);
    expect(alive()).toBe(2);
  });

  test("lets escape what arrays, plain objects, Maps and Sets hold, at any depth", () => {
    class Holder {
      readonly y = x.exp();
    }
    const result = scope(() => {
      x.mul(5);
      return {
        list: [x.add(1), [x.add(2)]],
        nullPrototype: Object.assign(Object.create(null) as { y?: Tensor }, { y: x.add(3) }),
        map: new Map([["a", x.add(4)]]),
        set: new Set([x.add(5)]),
        nothing: [null, undefined, 1, "text"],
        holder: new Holder(),
      };
    });
    expect(result.holder.y.isDisposed).toBe(true);
    expect(alive()).toBe(1 + 5);
    for (const t of [...result.list.flat(), result.nullPrototype.y, result.map.get("a"), ...result.set])
      expect(t?.isDisposed).toBe(false);
  });

  test("copes with a result that contains itself", () => {
    const result = scope(() => {
      const node: { y: Tensor; self?: unknown } = { y: x.add(1) };
      node.self = node;
      return node;
    });
    expect(result.y.isDisposed).toBe(false);
  });

  test("leaves alone what was made outside, returned or not", () => {
    expect(scope(() => x)).toBe(x);
    scope(() => void x.add(1));
    expect(x.isDisposed).toBe(false);
  });

  test("a nested scope's result belongs to the outer one", () => {
    let inner: Tensor | undefined;
    scope(() => {
      inner = scope(() => x.add(1).add(1));
      expect(alive()).toBe(2);
    });
    expect(inner?.isDisposed).toBe(true);
    expect(alive()).toBe(1);
  });

  test("an exception disposes everything, at every level", () => {
    expect(() =>
      scope(() => {
        x.add(1);
        scope(() => {
          x.add(2);
          throw new Error("stop");
        });
      }),
    ).toThrow("stop");
    expect(alive()).toBe(1);
    x.add(1);
    expect(alive()).toBe(2);
  });

  test("refuses an asynchronous body, in its type and when it runs", async () => {
    const bodies = [async () => 1, () => Promise.resolve(x.add(1))];
    for (const body of bodies) {
      // @ts-expect-error: a promise is no result of a scope.
      expect(() => scope(body)).toThrow(ArgumentError);
    }
    expect(alive()).toBe(1);
  });

  test("disposing inside is fine, of tensors of any scope", () => {
    const outer = x.add(1);
    scope(() => {
      const middle = x.add(2);
      scope(() => {
        for (const t of [x.add(3), middle, outer]) t.dispose();
      });
    });
    expect(alive()).toBe(1);
  });
});

describe("keep", () => {
  test("takes a tensor out of all scopes", () => {
    scope(() => {
      scope(() => {
        keep(x.add(1));
        x.add(2);
      });
      expect(alive()).toBe(2);
    });
    expect(alive()).toBe(2);
  });

  test("of a scope further out too", () => {
    scope(() => {
      const y = x.add(1);
      scope(() => void keep(y));
    });
    expect(alive()).toBe(2);
  });

  test("returns the tensor, also outside any scope", () => {
    expect(keep(x)).toBe(x);
  });

  test("survives an exception", () => {
    let kept: Tensor | undefined;
    expect(() =>
      scope(() => {
        kept = keep(x.add(1));
        throw new Error("stop");
      }),
    ).toThrow("stop");
    expect(kept?.isDisposed).toBe(false);
  });
});
