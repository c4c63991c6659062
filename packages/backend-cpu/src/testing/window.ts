import type { Pair, Window2d } from "@striate/core/backend";
import fc from "fast-check";

interface WindowCase {
  readonly window: Window2d;
  readonly image: Pair;
  readonly output: Pair;
}

const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

/** Windows of every geometry on small images, kernels larger than the unpadded image included. */
export const arbitraryWindow: fc.Arbitrary<WindowCase> = fc
  .record({
    image: pair(1, 7),
    kernel: pair(1, 4),
    stride: pair(1, 4),
    dilation: pair(1, 3),
    padding: fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)),
  })
  .map(({ image, ...window }) => {
    const along = (axis: 0 | 1): number => {
      const padded = image[axis] + window.padding[2 * axis]! + window.padding[2 * axis + 1]!;
      const span = padded - window.dilation[axis] * (window.kernel[axis] - 1) - 1;
      return Math.floor(span / window.stride[axis]) + 1;
    };
    return { window, image, output: [along(0), along(1)] as const };
  })
  .filter(({ output }) => output[0] > 0 && output[1] > 0);
