import type { Backend, Tensor } from "@striate/core";
import { ArgumentError, permutation, scope, tensor } from "@striate/core";
import { expectCount, expectSeed } from "./arguments.js";
import type { AugmentOptions } from "./augment.js";
import { augmentationBy, expectAugmentOptions } from "./augment.js";
import type { ImageDataset } from "./dataset.js";
import { type ImageTensors, imageTensors } from "./image-tensors.js";
import type { MixOptions } from "./mix.js";
import { expectMixOptions, mixTargets, mixtureOf } from "./mix.js";
import type { Normalization } from "./normalize.js";
import { expectNormalization } from "./normalize.js";
import { streams } from "./streams.js";

export interface BatchOptions {
  readonly backend: Backend;
  /** Images a batch. */
  readonly size: number;
  /** Order and augmentation are a function of (seed, epoch). Without it: no shuffling, no augmentation. */
  readonly seed?: number | undefined;
  /** Counted from 0. */
  readonly epoch?: number | undefined;
  /** Default: true where there is a `seed`. */
  readonly shuffle?: boolean | undefined;
  /** Needs a `seed`. */
  readonly augment?: AugmentOptions | undefined;
  /** Mixes images of a batch and gives `targets`. Needs a `seed`. */
  readonly mix?: MixOptions | undefined;
  /** Leaves the last batch out when it would be smaller than `size`. Default: false. */
  readonly dropLast?: boolean | undefined;
  /** Default: the dataset's own statistics. Mean 0 and std 1 give value / 255. */
  readonly normalize?: Normalization | undefined;
  /** First batch to make: batch `start` onwards are the same as in a run from 0, so an epoch can be resumed. */
  readonly start?: number | undefined;
}

/** The tensors live until the next batch is asked for; `detach()` them to keep them longer. */
export interface Batch {
  /** float32 [B, C, H, W], normalized. */
  readonly images: Tensor;
  /** int32 [B]. */
  readonly labels: Tensor;
  /** float32 [B, classes], the share of each class in each image; there where `mix` was given, in every batch. */
  readonly targets?: Tensor | undefined;
  /** Where the images lie in the dataset. */
  readonly indices: Int32Array;
  /** Number of this batch in its epoch, from 0. */
  readonly index: number;
  /** Batches in an epoch. */
  readonly total: number;
}

/** One epoch. Can be iterated again, with the same batches. */
export interface BatchSequence extends Iterable<Batch> {
  /** Batches in the epoch, those before `start` included. */
  readonly total: number;
}

/**
 * The batches of one epoch. The order is permutation(count) by (seed, epoch); `start` skips batches without making
 * them.
 * @throws ArgumentError for options that do not fit; nothing is thrown later
 */
export const batches = (dataset: ImageDataset, options: BatchOptions): BatchSequence => {
  const { backend, size, seed, epoch = 0, augment: augmentation, mix, dropLast = false, start = 0 } = options;
  const { shuffle = seed !== undefined, normalize: normalization = dataset } = options;
  expectCount("batches", "size", size, 1);
  expectCount("batches", "epoch", epoch, 0, 2 ** 32 - 1);
  if (seed !== undefined) expectSeed("batches", seed);
  else if (shuffle || augmentation !== undefined || mix !== undefined)
    throw new ArgumentError(
      `batches: ${shuffle ? "shuffle" : augmentation !== undefined ? "augment" : "mix"} needs a seed`,
    );
  if (augmentation !== undefined) expectAugmentOptions(augmentation, dataset);
  if (mix !== undefined) expectMixOptions(mix);
  expectNormalization(normalization, dataset.channels);
  const total = dropLast ? Math.floor(dataset.count / size) : Math.ceil(dataset.count / size);
  expectCount("batches", "start", start, 0, total);

  const order = (): Int32Array =>
    shuffle && seed !== undefined
      ? permutation(dataset.count, { seed, stream: streams.shuffle, offset: epoch })
      : Int32Array.from({ length: dataset.count }, (_, i) => i);

  const address = seed === undefined ? undefined : { seed, epoch };

  const makeBatch = (indices: Int32Array, index: number, imagesAt: ImageTensors): Batch => {
    const { classes } = dataset;
    const count = indices.length;
    const numbers = Int32Array.from(indices, (place) => dataset.labels[place] as number);
    const mixture = mix && address && mixtureOf(mix, dataset, address, index);
    // The scope frees the one if there is no room for the other.
    const tensors = scope(() => ({
      images: imagesAt(indices, mixture),
      labels: tensor(numbers, { backend, shape: [count] }),
      ...(mixture && {
        targets: tensor(mixTargets(numbers, classes.length, mixture), { backend, shape: [count, classes.length] }),
      }),
    }));
    return { ...tensors, indices, index, total };
  };

  return {
    total,
    *[Symbol.iterator]() {
      const places = order();
      const imagesAt = imageTensors(dataset, {
        backend,
        augmentation: augmentation && address && augmentationBy(augmentation, dataset, address),
        normalization,
        mixes: mix !== undefined,
        most: Math.min(size, dataset.count),
      });
      for (let index = start; index < total; index++) {
        const batch = makeBatch(Int32Array.from(places.subarray(index * size, (index + 1) * size)), index, imagesAt);
        try {
          yield batch;
        } finally {
          // The caller's own dispose(), or a scope around the loop's body, may have come first.
          for (const made of [batch.images, batch.labels, batch.targets]) if (made && !made.isDisposed) made.dispose();
        }
      }
    },
  };
};
