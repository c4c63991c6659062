/** The gradient of a batch, whole or in parts. */
import { ArgumentError, keep, noGrad, scope, type Tensor, valueAndGrad } from "@striate/core";
import type { Batch } from "@striate/data";
import { logitsOf, type Module, type Output } from "@striate/nn";
import type { Optimizer } from "@striate/optim";

/** A network that can be trained: in training mode it may give auxiliary outputs. */
export type Trainee = Module<(images: Tensor) => Output>;

export interface GradientOptions {
  readonly net: Trainee;
  readonly optimizer: Pick<Optimizer<object>, "trainable">;
  /**
   * The loss of a batch, a scalar, from logits [N, classes] and either labels [N], or class probabilities [N, classes]
   * where the batches have them (`targets`).
   */
  readonly loss: (logits: Tensor, targets: Tensor) => Tensor;
  /** The loss of each auxiliary output counts so much. Default 0.3, GoogLeNet's. */
  readonly auxiliaryWeight?: number | undefined;
  /** Whether `loss` is a mean over the batch or a sum. Default "mean". */
  readonly reduction?: "mean" | "sum" | undefined;
  /**
   * Each batch is cut into so many parts, one after the other, whose gradients are added up: the step of the whole batch
   * with the activations of a part. Batch norm sees the parts. Default 1.
   */
  readonly accumulate?: number | undefined;
}

/** Scalars and gradients, the caller's to dispose. */
export interface Gradient {
  /** As `loss` gives it, with that of auxiliary outputs. */
  readonly value: Tensor;
  /** int32: images of the batch that the network got right. */
  readonly correct: Tensor;
  /** One for each of `optimizer.trainable()`. */
  readonly grads: readonly Tensor[];
}

export const release = ({ value, correct, grads }: Gradient): void => {
  for (const tensor of [value, correct, ...grads]) if (!tensor.isDisposed) tensor.dispose();
};

/** A batch or a part of one. */
interface Part {
  readonly images: Tensor;
  readonly labels: Tensor;
  readonly targets: Tensor;
  /** Of the batch's images. */
  readonly share: number;
}

/** Calls `use` with each part, and frees what was cut. */
export const forEachPart = (
  { images, labels, targets = labels }: Batch,
  parts: number,
  use: (part: Part) => void,
): void => {
  const count = labels.size;
  if (parts === 1 || count <= 1) {
    use({ images, labels, targets, share: 1 });
    return;
  }
  const cut = (tensor: Tensor, begin: number, end: number): Tensor => tensor.slice({ begin: [begin], end: [end] });
  for (let i = 0; i < parts; i++) {
    const begin = Math.floor((i * count) / parts);
    const end = Math.floor(((i + 1) * count) / parts);
    if (begin === end) continue;
    scope(() => {
      use({
        images: cut(images, begin, end),
        labels: cut(labels, begin, end),
        targets: cut(targets, begin, end),
        share: (end - begin) / count,
      });
    });
  }
};

/** The network's outputs on a part, and the loss of them that counts. */
export const forward = (
  { net, loss, auxiliaryWeight = 0.3, reduction = "mean" }: GradientOptions,
  { images, targets, share }: Part,
): { readonly logits: Tensor; readonly value: Tensor } => {
  const output = net.forward(images);
  const logits = logitsOf(output);
  const auxiliary = "logits" in output ? output.auxiliary : [];
  const value = auxiliary.reduce(
    (sum, other) => sum.add(loss(other, targets).mul(auxiliaryWeight)),
    loss(logits, targets),
  );
  return { logits, value: reduction === "mean" && share < 1 ? value.mul(share) : value };
};

/** Of a part: its share of the batch's loss and gradient. Nothing is left if anything throws. */
const differentiatePart = (options: GradientOptions, part: Part, trainable: readonly Tensor[]): Gradient => {
  const counts: Tensor[] = [];
  try {
    const { value, grads } = valueAndGrad(() => {
      const { logits, value } = forward(options, part);
      counts.push(keep(noGrad(() => scope(() => logits.argmax(1).eq(part.labels).cast("int32").sum()))));
      return value;
    }, trainable);
    for (const tensor of [value, ...grads]) keep(tensor);
    return { value, grads, correct: counts[0] as Tensor };
  } catch (error) {
    for (const count of counts) count.dispose();
    throw error;
  }
};

/** a + b, in the place of both. */
const plus = (a: Gradient, b: Gradient): Gradient => {
  try {
    const sum = noGrad(() =>
      scope(() => ({
        value: a.value.add(b.value),
        correct: a.correct.add(b.correct),
        grads: a.grads.map((grad, i) => grad.add(b.grads[i] as Tensor)),
      })),
    );
    for (const tensor of [sum.value, sum.correct, ...sum.grads]) keep(tensor);
    return sum;
  } finally {
    release(a);
    release(b);
  }
};

/** Forward and backward pass of a batch. Nothing is left if anything throws. */
export const differentiate = (options: GradientOptions, batch: Batch): Gradient => {
  const trainable = options.optimizer.trainable();
  if (trainable.length === 0) throw new ArgumentError("fit: every parameter is frozen");
  let sum: Gradient | undefined;
  try {
    forEachPart(batch, options.accumulate ?? 1, (part) => {
      const gradient = differentiatePart(options, part, trainable);
      const before = sum;
      sum = undefined;
      sum = before ? plus(before, gradient) : gradient;
    });
    return sum as unknown as Gradient;
  } catch (error) {
    if (sum) release(sum);
    throw error;
  }
};
