import fc from "fast-check";
import { expect, test } from "vitest";
import { counting, createHarness, integers } from "../testing/harness.js";
import { arbitraryWindow } from "../testing/window.js";

const { run1 } = await createHarness();

const window = { kernel: [2, 2], stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1] } as const;

test("unfold2d lists the pixels under each kernel element", () => {
  const y = run1("unfold2d", [counting([1, 1, 3, 3])], [1, 4, 4], { window, outputSize: [2, 2] });
  expect(y).toEqual([1, 2, 4, 5, 2, 3, 5, 6, 4, 5, 7, 8, 5, 6, 8, 9]);
});

test("unfold2d pads with zeros, each side its own", () => {
  const padded = { ...window, kernel: [1, 1], padding: [1, 0, 0, 2] } as const;
  const y = run1("unfold2d", [counting([1, 1, 1, 2])], [1, 1, 8], { window: padded, outputSize: [2, 4] });
  expect(y).toEqual([0, 0, 0, 0, 1, 2, 0, 0]);
});

test("fold2d is the adjoint of unfold2d", () => {
  fc.assert(
    fc.property(arbitraryWindow, ({ window, image, output }) => {
      const [n, channels] = [2, 3];
      const x = integers([n, channels, ...image], 1);
      const y = integers([n, channels * window.kernel[0] * window.kernel[1], output[0] * output[1]], 2);
      const unfolded = run1("unfold2d", [x], y.shape, { window, outputSize: output });
      const folded = run1("fold2d", [y], x.shape, { window, outputSize: output });
      const product = (a: readonly number[], b: ArrayLike<number>) =>
        a.reduce((s, v, i) => s + v * (b[i] as number), 0);
      expect(product(unfolded, y.data)).toBe(product(folded, x.data));
    }),
  );
});
