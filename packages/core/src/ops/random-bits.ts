import type { Shape } from "../backend.js";
import { defineOp, dispatch } from "../dispatch.js";
import { checkedAddress, type RandomAddress } from "../random/address.js";
import { randomWords } from "../random/philox.js";
import type { Runtime } from "../runtime.js";
import { expectShape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";

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

/** int32 in [0, 2^24), the same on every backend: see `randomBits` in the backend interface. `op` asks for them. */
export const drawBits = (op: string, runtime: Runtime, shape: Shape, address: RandomAddress): Tensor => {
  expectShape(op, shape);
  const attrs = checkedAddress(op, address);
  return dispatch(rule(runtime), [], attrs, { shape, dtype: "int32" }, {}, runtime);
};
