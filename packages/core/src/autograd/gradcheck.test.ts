import { describe, expect, test } from "vitest";
import {
  ArgumentError,
  customGradient,
  DTypeError,
  GradientError,
  gradcheck,
  memoryUsage,
  type Tensor,
  tensor,
} from "../index.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

const backend = await createMinimalBackend();
const x = tensor(Float64Array.of(1, 2, 3, 4, 5), { backend });

/** x² whose gradient is off by a factor at one element. */
const square = (factor: number, at: number): ((x: Tensor) => Tensor) =>
  customGradient("square", {
    forward: (t) => ({ value: t.square() }),
    backward: ({ grad, inputs: [t] }) => {
      const scale = tensor(
        Float64Array.from({ length: 5 }, (_, i) => (i === at ? factor : 1)),
        { backend },
      );
      return [
        grad
          .mul(t as Tensor)
          .mul(2)
          .mul(scale),
      ];
    },
  });

describe("gradcheck", () => {
  test("reports how many elements it compared and how far they were apart", async () => {
    const report = await gradcheck((t) => t.exp(), [x]);
    expect(report.checked).toBe(5);
    expect(report.worst).toBeLessThan(1);
    expect((await gradcheck((t) => t.exp(), [x], { maxElements: 2 })).checked).toBe(2);
  });

  test("finds a gradient that is wrong at one element, and names it", async () => {
    const before = memoryUsage(backend);
    await expect(gradcheck(square(1.01, 3), [x])).rejects.toThrow(
      /^gradcheck: the gradient of element 3 of input 0 is [\d.]+, finite differences give [\d.]+/,
    );
    await expect(gradcheck(square(Number.NaN, 2), [x])).rejects.toThrow(GradientError);
    expect(memoryUsage(backend)).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });

  test("judges by the tolerances given", async () => {
    await expect(gradcheck(square(1.01, 3), [x], { rtol: 0.02 })).resolves.toMatchObject({ checked: 5 });
    await expect(gradcheck((t) => t.exp(), [x], { rtol: 1e-14, atol: 1e-14 })).rejects.toThrow(GradientError);
  });

  test("refuses other dtypes than float64, and no inputs", async () => {
    const single = x.cast("float32");
    await expect(gradcheck((t) => t, [single])).rejects.toThrow(DTypeError);
    await expect(gradcheck((t) => t.cast("float32"), [x])).rejects.toThrow(/^gradcheck: the result is float32/);
    await expect(gradcheck(() => x, [])).rejects.toThrow(ArgumentError);
  });
});
