import { type ImageDataset, imageDataset } from "@striate/data";

/** The images in the middle of larger ones, with `margin` rows and columns of 0 on each side. */
export const framed = (dataset: ImageDataset, margin: number): ImageDataset => {
  const { images, count, channels, height, width, synthetic, ...rest } = dataset;
  const wide = width + 2 * margin;
  const high = height + 2 * margin;
  const framedImages = new Uint8Array(count * channels * high * wide);
  for (let row = 0; row < count * channels * height; row++) {
    const plane = Math.floor(row / height);
    const at = (plane * high + margin + (row % height)) * wide + margin;
    framedImages.set(images.subarray(row * width, (row + 1) * width), at);
  }
  return { ...imageDataset({ ...rest, images: framedImages, channels, height: high, width: wide }), synthetic };
};
