import type { Attrs, Shape } from "../backend.js";
import { defineOp, dispatch } from "../dispatch.js";
import { ArgumentError } from "../errors.js";
import { randomWords } from "../random/philox.js";
import type { Runtime } from "../runtime.js";
import { expectShape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";

/** What addresses a block of random numbers; the same address always gives the same numbers. */
export interface RandomAddress {
  /** Of the whole run: an integer in [0, 2^53). */
  readonly seed: number;
  /** Which of the run's generators: an integer in [0, 2^32). Default 0. */
  readonly stream?: number | undefined;
  /** Which use of that generator, a step counter say: an integer in [0, 2^32). Default 0. */
  readonly offset?: number | undefined;
}

/** @throws ArgumentError for anything but integers in range. */
export const checkedAddress = (op: string, { seed, stream = 0, offset = 0 }: RandomAddress): Attrs<"randomBits"> => {
  const expectInteger = (name: string, value: number, limit: number): void => {
    if (!Number.isInteger(value) || value < 0 || value >= limit)
      throw new ArgumentError(`${op}: ${name} is ${value}, expected an integer in [0, ${limit})`);
  };
  expectInteger("seed", seed, 2 ** 53);
  expectInteger("stream", stream, 2 ** 32);
  expectInteger("offset", offset, 2 ** 32);
  return { seed, stream, offset };
};

const rule = (runtime: Runtime) =>
  defineOp({
    name: "randomBits",
    decompose: (_inputs, { seed, stream, offset }, [output]) => {
      const spec = output as { shape: Shape; dtype: "int32" };
      const words = randomWords(seed, stream, offset, sizeOf(spec.shape));
      return [
        runtime.fromHost(
          "randomBits",
          spec,
          Int32Array.from(words, (word) => word >>> 8),
        ),
      ];
    },
  });

/** int32 in [0, 2^24), the same on every backend: see `randomBits` in the backend interface. */
export const drawBits = (runtime: Runtime, shape: Shape, address: RandomAddress): Tensor => {
  expectShape("randomBits", shape);
  const attrs = checkedAddress("randomBits", address);
  return dispatch(rule(runtime), [], attrs, { shape, dtype: "int32" }, {}, runtime);
};
