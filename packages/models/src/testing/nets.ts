/** What the tests of small networks do with each. */
import { type Backend, gradcheck, type Tensor, tensor } from "@striate/core";
import { build, type Layer, type Module } from "@striate/nn";

/** Numbers in ±1 without ties, float64. */
export const wave = (backend: Backend, ...shape: number[]): Tensor =>
  tensor(
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.7 * i + 0.3 * (i % 7))),
    { backend, shape },
  );

export const make = (layer: Layer, backend: Backend, seed = 1): Module =>
  build(layer, { backend, seed, dtype: "float64" });

export const values = (t: Tensor): number[] => Array.from(t.dataSync());

/**
 * Finite differences of `loss`, of what the network makes of `x`, at some elements of the image and of each parameter.
 */
export const gradcheckNet = async (
  net: Module,
  x: Tensor,
  loss: (y: Tensor) => Tensor = (y) => y,
  maxElements = 5,
): Promise<void> => {
  const parameters = net.parameters();
  const run = (image: Tensor, ...given: Tensor[]): Tensor => {
    // A point beside the parameters: their handles are lent to it.
    const own = parameters.map((p, i) => (p === given[i] ? p : p.detach()));
    const point = (values: readonly Tensor[]): void =>
      parameters.forEach((p, i) => {
        if (own[i] !== p) p.assign(values[i] as Tensor);
      });
    point(given);
    try {
      return loss(net.forward(image));
    } finally {
      point(own);
    }
  };
  await gradcheck(run as (...inputs: Tensor[]) => Tensor, [x, ...parameters], { maxElements });
};
