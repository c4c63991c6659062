import { full, tensor } from "@striate/core";
import { expect, test } from "vitest";
import { withAdapter, withBackend } from "../testing/adapter.js";

/** A float16's bits as a number, by the definition of the format. */
const numberOf = (bits: number): number => {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const magnitude =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent < 31
        ? (1 + fraction / 1024) * 2 ** (exponent - 15)
        : fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN;
  return bits >> 15 === 1 ? -magnitude : magnitude;
};

const everyPattern = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
const isNan = (bits: number): boolean => (bits & 0x7fff) > 0x7c00;

withAdapter("float16", () => {
  test(
    "every number is widened exactly, and comes back",
    withBackend(async (backend) => {
      const halves = tensor(everyPattern, { backend, dtype: "float16" });
      expect(await halves.data()).toEqual(everyPattern);
      const wide = halves.cast("float32");
      const numbers = await wide.data();
      expect(everyPattern.findIndex((bits) => !Object.is(numbers[bits], numberOf(bits)))).toBe(-1);
      const back = (await wide.cast("float16").data()) as Uint16Array;
      expect(back.findIndex((bits, i) => (isNan(i) ? !isNan(bits) : bits !== i))).toBe(-1);
    }),
  );

  test(
    "results are rounded to nearest, ties to even, as the host rounds",
    withBackend(async (backend) => {
      // Half way between neighbours, and a float32 beside that, on every scale, beyond both ends of the range.
      const numbers = Float32Array.from(
        Array.from({ length: 48 }, (_, i) => i - 30).flatMap((exponent) =>
          [
            1,
            1 + 2 ** -11,
            1 + 3 * 2 ** -11,
            1 + 2 ** -11 + 2 ** -23,
            1 + 2 ** -11 - 2 ** -23,
            2 - 2 ** -11,
            1.7,
          ].flatMap((significand) => [significand * 2 ** exponent, -significand * 2 ** exponent]),
        ),
      );
      const rounded = await tensor(numbers, { backend }).cast("float16").data();
      const host = await tensor(Array.from(numbers), { backend, dtype: "float16" }).data();
      expect(rounded).toEqual(host);
    }),
  );

  test(
    "sums are float32's: 4096 times 1 + 2^-10 does not stop where float16 would",
    withBackend(async (backend) => {
      const sum = full([4096], 1 + 2 ** -10, { backend, dtype: "float16" }).sum();
      expect(await sum.toArray()).toBe(4100);
      expect(sum.dtype).toBe("float16");
    }),
  );

  test(
    "takes two bytes, odd sizes too",
    withBackend(async (backend) => {
      const before = backend.statistics().liveBytes;
      const x = full([2 ** 20], 1, { backend, dtype: "float16" });
      expect(backend.statistics().liveBytes - before).toBe(2 ** 21);
      x.dispose();
      const odd = tensor([1.5, -2, 0.1], { backend, dtype: "float16" });
      expect(await odd.mul(2).toArray()).toEqual([3, -4, numberOf(0x3266)]);
    }),
  );
});
