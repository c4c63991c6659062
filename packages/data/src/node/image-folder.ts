import fs from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { ArgumentError } from "@striate/core";
import { expectCount } from "../arguments.js";
import type { ImageDataset } from "../dataset.js";
import { channelStatistics, imageDataset } from "../dataset.js";
import { DataError } from "../errors.js";
import { fitImage, type PictureSize } from "../picture.js";
import { type DecodeImageOptions, decodeImage } from "./decode-image.js";
import { readFileIfPresent } from "./files.js";
import { errorCode, readError } from "./system-errors.js";

export interface ImageFolderOptions extends Pick<DecodeImageOptions, "channels" | "maxPixels"> {
  /** Of the images in the dataset; a number is the side of a square. */
  readonly size: number | PictureSize;
  /** Default: the folder's own name. */
  readonly name?: string | undefined;
  /** Called after each image. */
  readonly onProgress?: ((done: { readonly images: number; readonly total: number }) => void) | undefined;
  /** Ends the reading; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A larger file is no picture to train on. */
const maxFileSize = 2 ** 28;
/** Bytes that one dataset may take. */
const maxDatasetSize = 2 ** 32;
const maxClasses = 256;

/** What file managers leave. */
const isLitter = (name: string): boolean => name.startsWith(".") || name === "Thumbs.db" || name === "desktop.ini";

/** Names in code unit order, the same on every system. */
const namesIn = async (folder: string): Promise<string[]> => {
  try {
    return (await fs.readdir(folder)).filter((name) => !isLitter(name)).sort();
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") throw new DataError("data-missing", `there is no folder ${folder}`, { cause: error });
    if (code === "ENOTDIR") throw new DataError("data-missing", `${folder} is no folder`, { cause: error });
    throw readError(folder, error);
  }
};

/** Follows links. @throws DataError for one that leads nowhere */
const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await fs.stat(path)).isDirectory();
  } catch (error) {
    throw readError(path, error);
  }
};

interface Found {
  readonly path: string;
  readonly label: number;
}

const findImages = async (dir: string): Promise<{ classes: string[]; files: Found[] }> => {
  const classes: string[] = [];
  for (const name of await namesIn(dir)) if (await isFolder(join(dir, name))) classes.push(name);
  if (classes.length === 0)
    throw new DataError(
      "data-missing",
      `${dir} has no folders; expected one for each class, with its images: ${join(dir, "cat", "1.png")}`,
    );
  if (classes.length > maxClasses)
    throw new DataError("data-corrupt", `${dir} has ${classes.length} folders, expected at most ${maxClasses} classes`);
  const files: Found[] = [];
  for (const [label, name] of classes.entries()) {
    const folder = join(dir, name);
    const names = await namesIn(folder);
    if (names.length === 0) throw new DataError("data-missing", `${folder} has no images, but is a class by its place`);
    for (const file of names) files.push({ path: join(folder, file), label });
  }
  return { classes, files };
};

const readImageFile = async (path: string): Promise<Uint8Array> => {
  if (await isFolder(path))
    throw new DataError("data-corrupt", `${path} is a folder; images lie directly in the folder of their class`);
  const bytes = await readFileIfPresent(path, maxFileSize);
  if (!bytes) throw new DataError("data-missing", `${path} was there a moment ago`);
  return bytes;
};

/**
 * Images of one's own: `dir/<class>/<file>`, PNG or JPEG. Classes are the folders' names, sorted; images come by class,
 * then by file name, whatever the file system's order. Each is resized and cropped by `fitImage`, mean and standard
 * deviation are those of all of them. Links are followed; hidden files, and files beside the folders, are passed over.
 * `splitDataset` holds a part out for validation.
 *
 * @throws DataError naming the file: `data-missing` for no such folder, no classes or a class without images,
 * `data-corrupt` for what is no PNG or JPEG, damaged or too large, `data-read` for what the system does not let be read;
 * ArgumentError for bad options
 */
export const imageFolder = async (
  dir: string,
  { size, channels = 3, maxPixels, name = basename(resolve(dir)), onProgress, signal }: ImageFolderOptions,
): Promise<ImageDataset> => {
  const { height, width } = typeof size === "number" ? { height: size, width: size } : size;
  expectCount("imageFolder", "size", height, 1);
  expectCount("imageFolder", "size", width, 1);
  if (channels !== 1 && channels !== 3)
    throw new ArgumentError(`imageFolder: channels is ${channels}, expected 1 or 3`);
  const { classes, files } = await findImages(dir);
  const imageSize = channels * height * width;
  if (files.length * imageSize > maxDatasetSize)
    throw new ArgumentError(
      `imageFolder: ${files.length} images of ${channels} x ${height} x ${width} are more than ${maxDatasetSize} bytes; choose a smaller size`,
    );
  const images = new Uint8Array(files.length * imageSize);
  for (const [i, { path }] of files.entries()) {
    signal?.throwIfAborted();
    const picture = decodeImage(await readImageFile(path), { channels, name: path, maxPixels });
    images.set(fitImage(picture, { height, width }).pixels, i * imageSize);
    onProgress?.({ images: i + 1, total: files.length });
  }
  const geometry = { images, channels, height, width, count: files.length };
  const { mean, std } = channelStatistics(geometry);
  return imageDataset({
    ...geometry,
    name,
    labels: Uint8Array.from(files, ({ label }) => label),
    classes,
    mean,
    // Images of one colour have none to divide by.
    std: std.map((value) => value || 1),
  });
};
