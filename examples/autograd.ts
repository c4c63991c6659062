// Tensors, gradients and gradients of gradients.
import { createCpuBackend } from "@striate/backend-cpu";
import { gradcheck, scope, tensor, valueAndGrad } from "@striate/core";

const backend = await createCpuBackend();

// f(x) = Σ x³, so f' = 3x² and f'' = 6x.
const x = tensor([1, 2, 3], { backend });
const f = () => x.pow(3).sum();

const { value, grads } = valueAndGrad(f, [x]);
console.log("f    =", await value.item());
console.log("f'   =", await grads[0]?.toArray());

const second = valueAndGrad(() => (valueAndGrad(f, [x], { createGraph: true }).grads[0] ?? x).sum(), [x]);
console.log("f''  =", await second.grads[0]?.toArray());

// A convolution, with the gradient that autograd gives compared with finite differences.
const pixels = [
  [1, 1, 1, 0, 0],
  [0, 1, 1, 1, 0],
  [0, 0, 1, 1, 1],
  [0, 0, 1, 1, 0],
  [0, 1, 1, 0, 0],
];
const weights = [
  [1, 0, 1],
  [0, 1, 0],
  [1, 0, 1],
];
const image = tensor(pixels, { backend, dtype: "float64" }).reshape([1, 1, 5, 5]);
const kernel = tensor(weights, { backend, dtype: "float64" }).reshape([1, 1, 3, 3]);
console.log("conv =", JSON.stringify(await scope(() => image.conv2d(kernel)).toArray()));
console.log("gradient check:", await gradcheck((i, k) => i.conv2d(k).square(), [image, kernel]));
backend.dispose();
