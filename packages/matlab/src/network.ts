import { ArgumentError, type Backend } from "@striate/core";
import type { ImageDataset, Normalization as Statistics } from "@striate/data";
import { build, flatten, type Layer, type Module } from "@striate/nn";
import type { Built, Factors, InputLayer, MatlabLayer, Normalization } from "./layers.js";
import { formatSize, type Size } from "./size.js";

/** A layer in its place. */
export interface PlacedLayer {
  readonly Name: string;
  readonly kind: string;
  /** What comes out of it: [height width channels]. */
  readonly OutputSize: readonly [height: number, width: number, channels: number];
}

/** What `trainNetwork` gives. */
export interface SeriesNetwork {
  readonly Layers: readonly PlacedLayer[];
  readonly Classes: readonly string[];
  readonly InputSize: readonly [height: number, width: number, channels: number];
  /** From bytes to what the network was trained on, as `batches` of @striate/data takes it. */
  readonly normalization: Statistics;
  /** For everything else in Striate: `stateDict`, `forward` (to logits), `observe` … In evaluation mode. */
  readonly module: Module;
  /** Frees the parameters. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Layers joined, before they have parameters. */
export interface Assembled {
  readonly input: InputLayer;
  readonly layer: Layer;
  readonly placed: readonly PlacedLayer[];
  readonly classes: number;
  /** Of the parameter `conv_1.weight`. */
  factorsOf(parameter: string): Factors;
}

const namesOf = (layers: readonly MatlabLayer[]): string[] => {
  const seen = new Map<string, number>();
  const names = layers.map(({ kind, Name }) => {
    if (Name !== "") return Name;
    const several = layers.filter((other) => other.kind === kind && other.Name === "").length > 1;
    const number = (seen.get(kind) ?? 0) + 1;
    seen.set(kind, number);
    return several ? `${kind}_${number}` : kind;
  });
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new ArgumentError(`trainNetwork: two layers are called ${JSON.stringify(twice)}`);
  return names;
};

const expectOrder = (layers: readonly MatlabLayer[]): InputLayer => {
  const kinds = layers.map(({ kind }) => kind);
  const [first] = layers;
  if (first?.kind !== "imageinput")
    throw new ArgumentError(`trainNetwork: the first layer is ${kinds[0] ?? "missing"}, expected an imageInputLayer`);
  if (kinds.at(-2) !== "softmax" || kinds.at(-1) !== "classoutput")
    throw new ArgumentError(
      `trainNetwork: the last layers are ${kinds.slice(-2).join(", ")}, expected a softmaxLayer and a classificationLayer`,
    );
  const misplaced = kinds.findIndex(
    (kind, i) => (kind === "imageinput" && i > 0) || (/^(softmax|classoutput)$/.test(kind) && i < kinds.length - 2),
  );
  if (misplaced >= 0)
    throw new ArgumentError(`trainNetwork: layer ${misplaced + 1} is ${kinds[misplaced]}, which only stands at an end`);
  return first as InputLayer;
};

/** @throws ArgumentError naming the layer that does not fit the one before it */
export const assemble = (layers: readonly MatlabLayer[]): Assembled => {
  const input = expectOrder(layers);
  const names = namesOf(layers);
  const [height, width, channels] = input.InputSize;
  let size: Size = { height, width, channels, flat: false };
  const parts: { readonly name: string; readonly built: Built }[] = [];
  const placed: PlacedLayer[] = [];
  layers.forEach((layer, i) => {
    const name = names[i] as string;
    const built = layer.build(size, name);
    size = built.output;
    parts.push({ name, built });
    placed.push({ Name: name, kind: layer.kind, OutputSize: [size.height, size.width, size.channels] });
  });
  if (size.height !== 1 || size.width !== 1)
    throw new ArgumentError(
      `trainNetwork: what comes to the softmaxLayer is ${formatSize(size)}, expected 1x1 and a channel for each class`,
    );
  const factors = new Map<string, Factors>(
    parts.flatMap(({ name, built }) =>
      Object.entries(built.factors ?? {}).map(([parameter, own]) => [`${name}.${parameter}`, own] as const),
    ),
  );
  return {
    input,
    placed,
    classes: size.channels,
    factorsOf: (parameter) => factors.get(parameter) ?? { learnRate: 1, l2: 1 },
    layer: (m) => {
      const forwards = parts.map(({ name, built }) => m.child(name, built.layer));
      const vectors = flatten()(m);
      return (x) => {
        let y = x;
        for (const forward of forwards) {
          const next = forward(y);
          // What autograd needs it holds itself.
          if (y !== x && y !== next) y.dispose();
          y = next;
        }
        return y.rank === 2 ? y : vectors(y);
      };
    },
  };
};

/** With the bytes' range of 0 to 255: (value / 255 - mean) / std. */
const statistics: {
  readonly [K in Normalization]: (data: Statistics, channels: number) => { mean: number; std: number }[];
} = {
  zerocenter: ({ mean }) => mean.map((m) => ({ mean: m, std: 1 / 255 })),
  zscore: ({ mean, std }) => mean.map((m, i) => ({ mean: m, std: std[i] as number })),
  "rescale-symmetric": (_, channels) => new Array(channels).fill({ mean: 0.5, std: 0.5 }),
  "rescale-zero-one": (_, channels) => new Array(channels).fill({ mean: 0, std: 1 }),
  none: (_, channels) => new Array(channels).fill({ mean: 0, std: 1 / 255 }),
};

/** @throws ArgumentError for data that does not fit `InputSize` */
export const expectData = (
  op: string,
  what: string,
  { height, width, channels }: ImageDataset,
  [h, w, c]: SeriesNetwork["InputSize"],
): void => {
  if (height !== h || width !== w || channels !== c)
    throw new ArgumentError(
      `${op}: ${what} has images of ${height}x${width}x${channels}, expected the InputSize ${h}x${w}x${c}`,
    );
};

/** Gives the layers parameters. */
export const createNetwork = (
  { input, placed, layer }: Assembled,
  data: ImageDataset,
  context: { readonly backend: Backend; readonly seed: number },
): SeriesNetwork => {
  const module = build(layer, context);
  const values = statistics[input.Normalization](data, data.channels);
  return {
    Layers: placed,
    Classes: data.classes,
    InputSize: input.InputSize,
    normalization: { mean: values.map(({ mean }) => mean), std: values.map(({ std }) => std) },
    module,
    dispose: module.dispose,
    [Symbol.dispose]: module.dispose,
  };
};
