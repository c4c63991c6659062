import type { Attrs, Bridge, Info, Optional } from "../bridge.js";
import type { Device } from "../device.js";
import type { Primitive } from "../probe.js";

type LocalResponseNorm = (x: Info, attrs: Attrs<"localResponseNorm">) => Info;

const formulaOf = (device: Device): Primitive<LocalResponseNorm> => ({
  op: "localResponseNorm",
  ways: [
    {
      status: "native",
      kernels: ["LRN"],
      f: (x, { size, alpha, beta, k }) =>
        device.run("LRN", { x }, { depthRadius: (size - 1) / 2, bias: k, alpha, beta }),
    },
  ],
  probes: [
    {
      code: "tf.localResponseNormalization(tf.tensor4d([1, 2, -3, 4], [1, 1, 1, 4]), 1, 2, 0.5, 0.75)",
      run: (f) =>
        f(device.place(Float32Array.of(1, 2, -3, 4), [1, 1, 1, 4]), { size: 3, alpha: 0.5, beta: 0.75, k: 2 }),
      expected: [5, 14, 29, 25].map((squares, i) => ([1, 2, -3, 4][i] as number) / (2 + 0.5 * squares) ** 0.75),
      limit: (y) => 1e-5 * Math.abs(y),
    },
  ],
});

/** tfjs's window reaches as far to both sides: even sizes are left to core. */
export const localResponseNormKernels = async ({
  device,
  layouts,
  collector,
}: Bridge): Promise<Optional<"localResponseNorm">> => {
  const formula = await collector.optional(formulaOf(device));
  if (!formula) return {};
  return {
    localResponseNorm: {
      supports: ({ inputs: [x], attrs }) => x.shape.length === 4 && attrs.size % 2 === 1,
      run: ({ inputs: [x], outputs: [y], attrs }) => layouts.putImage(y, formula(layouts.image(x), attrs)),
    },
  };
};
