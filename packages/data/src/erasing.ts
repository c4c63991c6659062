/** Rectangles of an image that show one colour instead. */
import type { DrawAddress } from "./augment.js";
import { drawsFor, streams, uniformInteger, uniformNumber } from "./streams.js";

/** T. DeVries, G. Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017. */
export interface CutoutOptions {
  /** Side of the square in pixels. Its centre lies anywhere in the image, so it may stick out. */
  readonly size: number;
}

/** Z. Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, with torchvision's names and defaults. */
export interface ErasingOptions {
  /** Share of images with an erased rectangle. Default 0.5. */
  readonly prob?: number | undefined;
  /** Least and largest share of the image's area. Default [0.02, 0.33]. */
  readonly scale?: readonly [number, number] | undefined;
  /** Least and largest height / width; evenly on a logarithmic scale. Default [0.3, 3.3]. */
  readonly ratio?: readonly [number, number] | undefined;
}

/** Rows `top` up to `bottom`, columns `left` up to `right`. */
export interface Rectangle {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

interface Size {
  readonly height: number;
  readonly width: number;
}

/** The square of `size` around a point, as far as it lies in the image. */
const cutoutOf = ({ size }: CutoutOptions, { height, width }: Size, address: DrawAddress, index: number): Rectangle => {
  const [first, second] = drawsFor(address.seed, streams.cutout, address.epoch, index) as unknown as [number, number];
  const top = uniformInteger(first, height) - Math.floor(size / 2);
  const left = uniformInteger(second, width) - Math.floor(size / 2);
  return {
    top: Math.max(top, 0),
    bottom: Math.min(top + size, height),
    left: Math.max(left, 0),
    right: Math.min(left + size, width),
  };
};

/** Rectangles that do not fit are drawn anew; after so many nothing is erased. */
const attempts = 10;

const erasedOf = (
  { prob = 0.5, scale = [0.02, 0.33], ratio = [0.3, 3.3] }: ErasingOptions,
  { height, width }: Size,
  { seed, epoch }: DrawAddress,
  index: number,
): Rectangle | undefined => {
  const draws = (block: number): Uint32Array => drawsFor(seed, streams.erasing, epoch, index, block);
  if (uniformNumber(draws(0)[0] as number) >= prob) return undefined;
  const [low, high] = [Math.log(ratio[0]), Math.log(ratio[1])];
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const [area, aspect, down, right] = draws(attempt) as unknown as readonly [number, number, number, number];
    const pixels = height * width * (scale[0] + (scale[1] - scale[0]) * uniformNumber(area));
    const shape = Math.exp(low + (high - low) * uniformNumber(aspect));
    const h = Math.round(Math.sqrt(pixels * shape));
    const w = Math.round(Math.sqrt(pixels / shape));
    if (h >= height || w >= width) continue;
    const top = uniformInteger(down, height - h + 1);
    const left = uniformInteger(right, width - w + 1);
    return { top, bottom: top + h, left, right: left + w };
  }
  return undefined;
};

/** What cutout and random erasing take from image `index`. */
export const erasedRectangles = (
  { cutout, erasing }: { readonly cutout?: CutoutOptions | undefined; readonly erasing?: ErasingOptions | undefined },
  size: Size,
  address: DrawAddress,
  index: number,
): Rectangle[] => {
  const rectangles = [
    cutout && cutoutOf(cutout, size, address, index),
    erasing && erasedOf(erasing, size, address, index),
  ];
  return rectangles.filter((rectangle) => rectangle !== undefined);
};

/** Fills a rectangle of every plane of the image at `begin` with that plane's value. */
export const fillRectangle = (
  { top, bottom, left, right }: Rectangle,
  target: Uint8Array | Float32Array,
  begin: number,
  { height, width }: Size,
  values: readonly number[],
): void => {
  values.forEach((value, channel) => {
    for (let y = top; y < bottom; y++) {
      const row = begin + (channel * height + y) * width;
      target.fill(value, row + left, row + right);
    }
  });
};
