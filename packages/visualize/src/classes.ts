import { ArgumentError, noGrad, ShapeError, type Tensor, tensor } from "@striate/core";
import { evaluating, logitsOf } from "@striate/nn";
import type { Classifier } from "./layers.js";

/** The classes that shall be explained, one an image: as given, or what the network takes each image for. */
const expectClasses = async (
  op: string,
  logits: Tensor,
  given: readonly number[] | undefined,
): Promise<readonly number[]> => {
  const [count, classes] = logits.shape as readonly [number, number];
  if (logits.rank !== 2)
    throw new ShapeError(`${op}: the network returns [${logits.shape.join(", ")}], expected logits [N, classes]`);
  if (!given) {
    const predicted = noGrad(() => logits.argmax(1));
    try {
      return [...(await predicted.data())];
    } finally {
      predicted.dispose();
    }
  }
  if (given.length !== count) throw new ArgumentError(`${op}: ${given.length} classes for ${count} images`);
  const wrong = given.find((label) => !(Number.isInteger(label) && label >= 0 && label < classes));
  if (wrong !== undefined) throw new ArgumentError(`${op}: class ${wrong} is none of the ${classes}`);
  return given;
};

/** The classes to explain, chosen by a forward pass of their own if need be. */
export const classesOf = async (
  op: string,
  net: Classifier,
  images: Tensor,
  given?: readonly number[],
): Promise<readonly number[]> => {
  const logits = evaluating(net, () => noGrad(() => logitsOf(net.forward(images))));
  try {
    return await expectClasses(op, logits, given);
  } finally {
    logits.dispose();
  }
};

/** Sum over the batch of each image's logit: its gradient is every image's own, for in evaluation they do not meet. */
export const chosenLogits = (logits: Tensor, classes: readonly number[]): Tensor => {
  const mask = new Float32Array(logits.size);
  classes.forEach((label, i) => {
    mask[i * (logits.shape[1] as number) + label] = 1;
  });
  return logits.mul(tensor(mask, { backend: logits.backend, shape: logits.shape }).cast(logits.dtype)).sum();
};
