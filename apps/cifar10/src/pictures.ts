/** Image files that people name on the command line, as networks of CIFAR-10 want to see them. */
import { readFile } from "node:fs/promises";
import { type Backend, type Tensor, tensor } from "@striate/core";
import {
  cifar10Classes,
  cifar10Mean,
  cifar10Std,
  DataError,
  fitImage,
  type ImageDataset,
  normalize,
  syntheticDataset,
} from "@striate/data";
import { decodeImage } from "@striate/data/node";

const size = { height: 32, width: 32 } as const;

/** PNG or JPEG, scaled and cut to 3x32x32 bytes. @throws DataError naming the file */
export const readPicture = async (file: string): Promise<Uint8Array> => {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    const code = error.code === "ENOENT" ? "data-missing" : "data-read";
    throw new DataError(code, `${file}: ${error.message}`, { cause: error });
  });
  return fitImage(decodeImage(bytes, { channels: 3, name: file }), size).pixels;
};

export type Statistics = Pick<ImageDataset, "mean" | "std" | "classes">;

/** What a run's images were normalized by, and what they show. */
export const statisticsOf = (source: string): Statistics =>
  source === "synthetic"
    ? syntheticDataset({ count: 1, seed: 0 })
    : { mean: cifar10Mean, std: cifar10Std, classes: cifar10Classes };

/** [1, 3, 32, 32], normalized; the caller disposes it. */
export const pictureTensor = (pixels: Uint8Array, { mean, std }: Statistics, backend: Backend): Tensor =>
  tensor(normalize({ images: pixels, channels: 3, ...size }, { mean, std }), {
    backend,
    shape: [1, 3, size.height, size.width],
  });
