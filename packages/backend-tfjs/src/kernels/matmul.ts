import type { Bridge, Info, Required } from "../bridge.js";
import type { View } from "../storage.js";

const swap = [0, 2, 1] as const;

/**
 * One matrix at a time, neither transposed, is what every backend of tfjs does fast (WebAssembly's falls back to plain
 * loops otherwise). So a single transposed matrix is turned round first, and a batch times one matrix is one product.
 */
export const matmulKernels = ({ device, layouts }: Bridge): Required<"matmul"> => {
  const plain = { transposeA: false, transposeB: false };
  const single = (x: View, transposed: boolean): Info => (transposed ? layouts.permuted(x, swap) : layouts.flat(x));
  return {
    matmul: ({ inputs: [a, b], outputs: [y], attrs: { transposeA, transposeB } }) => {
      const [batch, m] = y.shape as [number, number, number];
      if (batch === 1) {
        layouts.put(y, device.run("BatchMatMul", { a: single(a, transposeA), b: single(b, transposeB) }, plain));
        return;
      }
      if (b.shape[0] === 1 && !transposeA) {
        const rows = device.view(layouts.flat(a), [1, batch * m, a.shape[2] as number]);
        layouts.put(y, device.run("BatchMatMul", { a: rows, b: single(b, transposeB) }, plain));
        return;
      }
      layouts.put(y, device.run("BatchMatMul", { a: layouts.flat(a), b: layouts.flat(b) }, { transposeA, transposeB }));
    },
  };
};
