import { type Backend, crossEntropy, type Tensor, tensor, valueAndGrad } from "@striate/core";
import { randomNumbers } from "./random.js";

/** Small numbers that look random. */
const random = (backend: Backend, shape: readonly number[], seed: number): Tensor =>
  tensor(
    Float32Array.from(
      randomNumbers(
        shape.reduce((a, b) => a * b, 1),
        seed,
      ),
      (u) => u - 0.5,
    ),
    { backend, shape },
  );

/** Steps of gradient descent on a small network with every kind of layer; its weights. Runs in pages too. */
export const train = async (backend: Backend, steps: number): Promise<Float32Array[]> => {
  const shapes = [[16, 3, 5, 5], [16], [16], [16], [24, 16, 3, 3], [10, 24 * 6 * 6], [10]];
  const params = shapes.map((shape, i) => random(backend, shape, i + 1).setRequiresGrad(true));
  const [w1, b1, scale, shift, w2, w3, b3] = params as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
  const x = random(backend, [32, 3, 28, 28], 99);
  const labels = tensor(
    Int32Array.from({ length: 32 }, (_, i) => i % 10),
    { backend },
  );
  for (let step = 0; step < steps; step++) {
    const { value, grads } = valueAndGrad(() => {
      const first = x.conv2d(w1, { bias: b1 }).batchNorm({ weight: scale, bias: shift, training: true }).relu();
      const second = first.maxPool2d({ kernel: 2 }).conv2d(w2, { stride: 2, padding: 1 }).tanh();
      return crossEntropy(second.flatten(1).linear(w3, b3), labels);
    }, params);
    value.dispose();
    params.forEach((param, i) => {
      const grad = grads[i] as Tensor;
      const scaled = grad.mul(0.05);
      const next = param.sub(scaled);
      param.assign(next);
      for (const t of [grad, scaled, next]) t.dispose();
    });
  }
  const weights = await Promise.all(params.map(async (param) => (await param.data()) as Float32Array));
  for (const t of [...params, x, labels]) t.dispose();
  return weights;
};
