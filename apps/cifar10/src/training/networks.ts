/** The networks that can be trained on 32x32 colour images, by name, and what options they take. */
import { ShapeError, type Tensor } from "@striate/core";
import type { ImageDataset } from "@striate/data";
import { type ModelName, modelNames, models, summary } from "@striate/models";
import type { Layer, Output } from "@striate/nn";
import { z } from "zod";
import { count, flag, object, oneOf, shareBelow1 } from "../config/parts.js";
import { whiteningFilters } from "../whitening.js";

export type Network = Layer<(x: Tensor) => Output>;

/** Those that classify colour images. */
export const networkNames = modelNames.filter(
  (name) => models[name].input[0] === 3 && models[name].heads.length > 0,
) as [ModelName, ...ModelName[]];

const width = (): z.ZodNumber => count(1, 4096);
const dropout = { dropout: shareBelow1().optional() } as const;
const version = { version: oneOf(["v1", "v1.5"]).optional() } as const;
const inception = { ...dropout, auxiliary: flag().optional() } as const;

/** Options by the beginning of the name; networks that are not here take none. */
const optionShapes: readonly (readonly [pattern: RegExp, shape: z.core.$ZodLooseShape])[] = [
  [/^ann$/, { hidden: count(1, 100_000).optional() }],
  [/^speed_net$/, { widths: z.tuple([width(), width(), width()]).optional() }],
  [/^locally_connected$/, { shared: flag().optional(), widths: z.tuple([width(), width()]).optional() }],
  [/^combined$/, { widths: z.tuple([width(), width()]).optional() }],
  [
    /^maxout$/,
    {
      widths: z.tuple([width(), width(), width(), width()]).optional(),
      pieces: z.tuple([count(1, 64), count(1, 64)]).optional(),
      dropout: z.tuple([shareBelow1(), shareBelow1()]).optional(),
    },
  ],
  [/^(alexnet|zfnet|network_in_network)/, dropout],
  [/^vgg\d+(?!.*cifar)/, dropout],
  [/^googlenet/, inception],
  [/^resnet(50|101|152)$/, version],
];

/** What `network.options` may be for a network. */
export const networkOptions = (name: string): z.ZodType<Record<string, unknown>> =>
  object(optionShapes.find(([pattern]) => pattern.test(name))?.[1] ?? {});

export interface NetworkContext {
  readonly classes: number;
  /** What a network may draw initial values from; without it they are drawn at random. */
  readonly training?: ImageDataset | undefined;
}

/** The network, its weights not yet drawn. */
export const layerOf = (
  { name, options }: { readonly name: ModelName; readonly options: Readonly<Record<string, unknown>> },
  { classes, training }: NetworkContext,
): Network => {
  const filters = name === "speed_net" && training ? { filters: whiteningFilters(training) } : {};
  // The config's schema has seen to the options.
  const make = models[name].layer as unknown as (options: object) => Network;
  return make({ classes, ...options, ...filters });
};

const image = [3, 32, 32] as const;

/** Parameters and multiply-adds for an image of CIFAR-10; undefined where the network takes no such image. */
export const costOf = (layer: Network): ReturnType<typeof summary> | undefined => {
  try {
    return summary(layer, image);
  } catch (error) {
    if (error instanceof ShapeError) return undefined;
    throw error;
  }
};
