/** What the suite needs of Node: vectors and images from disk, processes for isolated runs. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DataError, parseCifar10Binary } from "@striate/data";
import { cifar10 } from "@striate/data/node";
import type { TrainingImages } from "./groups/training.js";
import { loadVectorFiles, type VectorFile } from "./vectors/load.js";
import type { Vectors } from "./vectors/parse.js";

export { processPort, processWorker } from "./node-processes.js";

/** The vectors that come with this package. */
export const bundledVectors: string = fileURLToPath(new URL("../vectors", import.meta.url));

/** There is nothing to load where the caller said. */
export class VectorsNotFoundError extends Error {
  override readonly name = "VectorsNotFoundError";
}

const parts = ["ops", "models", "training"] as const;

const filesOf = async (folder: string, part: string): Promise<VectorFile[]> => {
  try {
    return (await readdir(join(folder, part), { withFileTypes: true }))
      .flatMap((entry) => (entry.isFile() ? [entry.name] : []))
      .sort()
      .map((name) => ({
        name: part === "" ? name : `${part}/${name}`,
        read: () => readFile(join(folder, part, name)),
      }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
};

/** The files in a folder, and in its parts `ops`, `models` and `training`. */
export const vectorFiles = async (folder: string): Promise<VectorFile[]> =>
  (await Promise.all(["", ...parts].map((part) => filesOf(folder, part)))).flat();

/**
 * The vectors in a folder, or in its parts `ops`, `models` and `training`; the folder may be one of these parts itself.
 * What a file holds is told by its contents; files of other kinds are passed over, broken ones become failed cases.
 *
 * @throws VectorsNotFoundError if there is no vector at all.
 */
export const loadVectors = async (folder: string): Promise<Vectors> => {
  const vectors = await loadVectorFiles(await vectorFiles(folder));
  if (Object.values(vectors).every((list) => list.length === 0))
    throw new VectorsNotFoundError(
      `${folder}: no vectors there; expected *.safetensors or *.json in it or in its folders ${parts.join(", ")}`,
    );
  return vectors;
};

/** Images in data_batch_1.bin. */
const imageCount = 10_000;

/**
 * The images of CIFAR-10's data_batch_1.bin, in file order: from `path` (that file or a folder with the data set), else from the
 * cache folder of `@striate/data`, without touching the network. Undefined if the cache has none.
 *
 * @throws DataError for a path that has no valid file.
 */
export const loadTrainingImages = async (path?: string): Promise<TrainingImages | undefined> => {
  const first = ({ images, labels }: TrainingImages): TrainingImages => ({
    images: images.slice(0, imageCount * 3072),
    labels: labels.slice(0, imageCount),
  });
  if (path !== undefined && (await stat(path)).isFile()) return first(parseCifar10Binary(await readFile(path)));
  if (path !== undefined) return first(await cifar10("train", { dir: path, offline: true }));
  try {
    return first(await cifar10("train", { offline: true }));
  } catch (error) {
    if (error instanceof DataError && error.code === "data-offline") return undefined;
    throw error;
  }
};
