/** ResNet-20 for CIFAR-10 (He et al. 2016, section 4.2) with projection shortcuts, and one step of its training. */
import { type Backend, crossEntropy, full, type Tensor } from "@striate/core";
import { batchNorm2d, build, conv2d, type Layer, linear, relu, sequential } from "@striate/nn";
import { sgd } from "@striate/optim";

const norm = (inputs: number, outputs: number, kernel: number, stride: number, after: readonly Layer[] = []): Layer =>
  sequential([
    conv2d(inputs, outputs, kernel, { stride, padding: (kernel - 1) / 2, bias: false }),
    batchNorm2d(outputs),
    ...after,
  ]);

const block =
  (inputs: number, outputs: number, stride: number): Layer =>
  (m) => {
    const first = m.child("first", norm(inputs, outputs, 3, stride, [relu()]));
    const second = m.child("second", norm(outputs, outputs, 3, 1));
    const shortcut = inputs === outputs ? undefined : m.child("shortcut", norm(inputs, outputs, 1, stride));
    return (x) =>
      second(first(x))
        .add(shortcut?.(x) ?? x)
        .relu();
  };

const resnet20: Layer = (m) => {
  const stem = m.child("stem", norm(3, 16, 3, 1, [relu()]));
  const stages = [16, 32, 64].flatMap((width, stage) =>
    [0, 1, 2].map((i) => {
      const narrow = i === 0 && stage > 0;
      return m.child(`${stage}-${i}`, block(narrow ? width / 2 : width, width, narrow ? 2 : 1));
    }),
  );
  const head = m.child("head", linear(64, 10));
  return (x) => head(stages.reduce((y, forward) => forward(y), stem(x)).mean([2, 3]));
};

/** SGD with momentum and weight decay; the loss is the caller's. */
export const createResnet20 = (backend: Backend, batch: number): { step(): Tensor } => {
  const net = build(resnet20, { backend, seed: 1 });
  const optimizer = sgd(net.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
  const images = full([batch, 3, 32, 32], 0.5, { backend });
  const labels = full([batch], 0, { backend, dtype: "int32" });
  return { step: () => optimizer.step(() => crossEntropy(net.forward(images), labels)) };
};
