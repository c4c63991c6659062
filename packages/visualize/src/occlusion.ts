import { ArgumentError, noGrad, ShapeError, scope, type Tensor, tensor } from "@striate/core";
import { evaluating, logitsOf } from "@striate/nn";
import { classesOf, expectClasses } from "./classes.js";
import type { Classifier } from "./layers.js";

export interface OcclusionOptions {
  /** One an image. Default: what the network takes each for. */
  readonly classes?: readonly number[] | undefined;
  /** Side of the square that hides a part, in pixels. */
  readonly size: number;
  /** Pixels from one place of the square to the next. Default: half its side, at least 1. */
  readonly stride?: number | undefined;
  /** What the square shows, in the images' own units. Default 0: the mean of normalized images. */
  readonly value?: number | undefined;
  /** Called after each place. */
  readonly onPlace?: ((done: number, total: number) => void) | undefined;
}

/** Where the square begins on an axis: the last place touches the border, so that nothing is left out. */
const placesOf = (length: number, size: number, stride: number): number[] => {
  const places: number[] = [];
  for (let at = 0; at < length - size; at += stride) places.push(at);
  return [...places, length - size];
};

/**
 * The probability of each image's class while a square hides a part of it (Zeiler and Fergus, ECCV 2014, section 4.2):
 * [N, rows, columns], one for each place of the square, the caller's to dispose. It is low where the class is seen.
 *
 * @throws ArgumentError for a square that does not fit or shows no number, ShapeError for other images than [N, C, H, W]
 */
export const occlusion = async (net: Classifier, images: Tensor, options: OcclusionOptions): Promise<Tensor> => {
  if (images.rank !== 4)
    throw new ShapeError(`occlusion: images are [${images.shape.join(", ")}], expected [N, C, H, W]`);
  const [count, , height, width] = images.shape as readonly [number, number, number, number];
  const { size, stride = Math.max(1, Math.floor(size / 2)), value = 0, onPlace } = options;
  for (const [name, given, most] of [
    ["size", size, Math.min(height, width)],
    ["stride", stride, Math.max(height, width)],
  ] as const)
    if (!(Number.isInteger(given) && given >= 1 && given <= most))
      throw new ArgumentError(`occlusion: ${name} is ${given}, expected an integer from 1 to ${most}`);
  if (!Number.isFinite(value)) throw new ArgumentError(`occlusion: value is ${value}, expected a finite number`);
  const classes = await classesOf("occlusion", net, images, options.classes);
  const rows = placesOf(height, size, stride);
  const columns = placesOf(width, size, stride);
  const found = new Float32Array(count * rows.length * columns.length);
  const hide = (top: number, left: number): Tensor => {
    const shown = Float32Array.from({ length: height * width }, (_, i) => {
      const [y, x] = [Math.floor(i / width), i % width];
      return y >= top && y < top + size && x >= left && x < left + size ? 0 : 1;
    });
    const mask = tensor(shown, { backend: images.backend, shape: [1, 1, height, width] }).cast(images.dtype);
    return images.mul(mask).add(mask.neg().add(1).mul(value));
  };
  let place = 0;
  for (const top of rows)
    for (const left of columns) {
      const probabilities = evaluating(net, () =>
        noGrad(() =>
          scope(() => {
            const logits = logitsOf(net.forward(hide(top, left)));
            expectClasses("occlusion", logits, classes);
            return logits.softmax(1);
          }),
        ),
      );
      try {
        const values = await probabilities.data();
        const perImage = probabilities.shape[1] as number;
        classes.forEach((label, i) => {
          found[i * rows.length * columns.length + place] = values[i * perImage + label] as number;
        });
      } finally {
        probabilities.dispose();
      }
      place++;
      onPlace?.(place, rows.length * columns.length);
    }
  return tensor(found, { backend: images.backend, shape: [count, rows.length, columns.length] });
};
