import { ArgumentError, ShapeError, type Tensor } from "@striate/core";
import { type Picture, type Range, rangeOf, symmetricRange, toPicture } from "./picture.js";

const expectRank4 = (op: string, argument: string, { shape }: Tensor): readonly [number, number, number, number] => {
  if (shape.length !== 4) throw new ShapeError(`${op}: ${argument} is [${shape.join(", ")}], expected four axes`);
  return shape as readonly [number, number, number, number];
};

/** One picture for each plane, or for each three planes that make a colour image. */
const pictures = (
  values: ArrayLike<number> & { subarray(begin: number, end: number): ArrayLike<number> },
  channels: 1 | 3,
  height: number,
  width: number,
  rangeFor: (values: ArrayLike<number>) => Range,
): Picture[] => {
  const size = channels * height * width;
  return Array.from({ length: values.length / size }, (_, i) => {
    const own = values.subarray(i * size, (i + 1) * size);
    return toPicture({ values: own, channels, height, width }, rangeFor(own));
  });
};

/**
 * The filters of a convolution, [out, in, kh, kw]: filters of three input channels in colour, one a unit; others grey, one
 * for each pair of unit and channel, those of a unit in a row. Each has its own scale, on which zero is middle grey.
 */
export const filterPictures = async (weight: Tensor): Promise<Picture[]> => {
  const [, inputs, height, width] = expectRank4("filterPictures", "weight", weight);
  return pictures(await weight.data(), inputs === 3 ? 3 : 1, height, width, symmetricRange);
};

/** The feature maps of one image of activations [N, C, H, W]: C grey pictures, each on its own scale. */
export const featureMapPictures = async (activations: Tensor, image = 0): Promise<Picture[]> => {
  const [count, channels, height, width] = expectRank4("featureMapPictures", "activations", activations);
  if (!(Number.isInteger(image) && image >= 0 && image < count))
    throw new ArgumentError(`featureMapPictures: image is ${image}, there are ${count}`);
  const size = channels * height * width;
  const values = await activations.data();
  return pictures(values.subarray(image * size, (image + 1) * size), 1, height, width, rangeOf);
};

export interface ImagePictureOptions {
  /** What the images were normalized by: shown is value · std + mean, black 0 and white 1. Default: the image's own range. */
  readonly normalization?: { readonly mean: readonly number[]; readonly std: readonly number[] } | undefined;
  /** Zero in the middle of the scale: for gradients, which have a sign. Default false. */
  readonly signed?: boolean | undefined;
}

/** Images [N, 1 or 3, H, W] as pictures. @throws ShapeError, ArgumentError */
export const imagePictures = async (images: Tensor, options: ImagePictureOptions = {}): Promise<Picture[]> => {
  const { normalization, signed = false } = options;
  const [, channels, height, width] = expectRank4("imagePictures", "images", images);
  if (channels !== 1 && channels !== 3)
    throw new ShapeError(`imagePictures: images have ${channels} channels, expected 1 or 3`);
  const values = await images.data();
  if (!normalization) return pictures(values, channels, height, width, signed ? symmetricRange : rangeOf);
  const { mean, std } = normalization;
  if (mean.length !== channels || std.length !== channels)
    throw new ArgumentError(
      `imagePictures: ${mean.length} means and ${std.length} deviations for ${channels} channels`,
    );
  const plane = height * width;
  const shown = Float32Array.from(values, (value, i) => {
    const channel = Math.floor(i / plane) % channels;
    return value * (std[channel] as number) + (mean[channel] as number);
  });
  return pictures(shown, channels, height, width, () => ({ low: 0, high: 1 }));
};
