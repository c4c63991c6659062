import { ArgumentError, noGrad, ShapeError, scope, type Tensor, tensor } from "@striate/core";
import { evaluating, logitsOf } from "@striate/nn";
import type { Classifier } from "./layers.js";

/** @throws ShapeError */
const expectLogits = (op: string, logits: Tensor): void => {
  if (logits.rank !== 2)
    throw new ShapeError(`${op}: the network returns [${logits.shape.join(", ")}], expected logits [N, classes]`);
};

/**
 * The classes to explain, one an image: as given, or what the network takes each image for, by a forward pass of their
 * own. Whether those given are classes only `expectClasses` can tell, from the first logits that there are.
 */
export const classesOf = async (
  op: string,
  net: Classifier,
  images: Tensor,
  given?: readonly number[],
): Promise<readonly number[]> => {
  if (given) {
    const count = images.shape[0] as number;
    if (given.length !== count) throw new ArgumentError(`${op}: ${given.length} classes for ${count} images`);
    return given;
  }
  const predicted = evaluating(net, () =>
    noGrad(() =>
      scope(() => {
        const logits = logitsOf(net.forward(images));
        expectLogits(op, logits);
        return logits.argmax(1);
      }),
    ),
  );
  try {
    return [...(await predicted.data())];
  } finally {
    predicted.dispose();
  }
};

/** @throws ShapeError unless these are logits, ArgumentError for a class that they do not have */
export const expectClasses = (op: string, logits: Tensor, classes: readonly number[]): void => {
  expectLogits(op, logits);
  const count = logits.shape[1] as number;
  const wrong = classes.find((label) => !(Number.isInteger(label) && label >= 0 && label < count));
  if (wrong !== undefined) throw new ArgumentError(`${op}: class ${wrong} is none of the ${count}`);
};

/**
 * Sum over the batch of each image's logit: its gradient is every image's own, for in evaluation they do not meet.
 * @throws as `expectClasses`
 */
export const chosenLogits = (op: string, logits: Tensor, classes: readonly number[]): Tensor => {
  expectClasses(op, logits, classes);
  const mask = new Float32Array(logits.size);
  classes.forEach((label, i) => {
    mask[i * (logits.shape[1] as number) + label] = 1;
  });
  return logits.mul(tensor(mask, { backend: logits.backend, shape: logits.shape }).cast(logits.dtype)).sum();
};
