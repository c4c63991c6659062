/** Networks as data, so that every peer builds the same one from its own parts. Names and layouts are PyTorch's. */

export type LayerSpec =
  | {
      readonly type: "conv2d";
      readonly in: number;
      readonly out: number;
      readonly kernel: number;
      readonly stride: number;
      readonly padding: number;
      readonly bias: boolean;
    }
  | { readonly type: "linear"; readonly in: number; readonly out: number; readonly bias: boolean }
  /** eps 1e-5, momentum 0.1 */
  | { readonly type: "batchNorm2d"; readonly features: number }
  /** Without padding, stride = kernel, a rest dropped. */
  | { readonly type: "maxPool2d"; readonly kernel: number }
  | { readonly type: "relu" }
  /** With the exact error function. */
  | { readonly type: "gelu" }
  /** Mean over height and width: [N, C]. */
  | { readonly type: "globalAvgPool2d" }
  /** [N, C, H, W] -> [N, C · H · W] in this order. */
  | { readonly type: "flatten" }
  /** relu(main(x) + shortcut(x)); an empty shortcut is the identity. */
  | { readonly type: "residual"; readonly main: readonly LayerSpec[]; readonly shortcut: readonly LayerSpec[] };

type SpecOf<T extends LayerSpec["type"]> = Extract<LayerSpec, { type: T }>;

/** What each type of layer becomes in a peer. */
export type LayerTable<R, C = never> = {
  readonly [T in LayerSpec["type"]]: (spec: SpecOf<T>, context: C) => R;
};

/** Look a layer up in such a table. */
export const makeLayer = <R, C>(table: LayerTable<R, C>, spec: LayerSpec, context: C): R =>
  (table[spec.type] as (spec: LayerSpec, context: C) => R)(spec, context);

const conv = (
  inChannels: number,
  out: number,
  kernel: number,
  { stride = 1, padding = 0, bias = true }: { stride?: number; padding?: number; bias?: boolean } = {},
): LayerSpec => ({ type: "conv2d", in: inChannels, out, kernel, stride, padding, bias });

const linear = (inFeatures: number, out: number, bias = true): LayerSpec => ({
  type: "linear",
  in: inFeatures,
  out,
  bias,
});

const batchNorm = (features: number): LayerSpec => ({ type: "batchNorm2d", features });
const maxPool = (kernel: number): LayerSpec => ({ type: "maxPool2d", kernel });
const relu: LayerSpec = { type: "relu" };
const gelu: LayerSpec = { type: "gelu" };
const flatten: LayerSpec = { type: "flatten" };
const globalAvgPool: LayerSpec = { type: "globalAvgPool2d" };

const lenet5 = (): LayerSpec[] => [
  ...[conv(3, 6, 5), relu, maxPool(2)],
  ...[conv(6, 16, 5), relu, maxPool(2)],
  ...[flatten, linear(400, 120), relu, linear(120, 84), relu, linear(84, 10)],
];

/** [64, 64, P, 128, 128, P, 256, 256, P] with batch norm. */
const vggS = (image: number): LayerSpec[] => {
  const stage = (from: number, to: number): LayerSpec[] => [
    ...[conv(from, to, 3, { padding: 1 }), batchNorm(to), relu],
    ...[conv(to, to, 3, { padding: 1 }), batchNorm(to), relu, maxPool(2)],
  ];
  return [...stage(3, 64), ...stage(64, 128), ...stage(128, 256), flatten, linear(256 * (image / 8) ** 2, 10)];
};

/** He et al. 2016, section 4.2, with projection shortcuts. */
const resnet20 = (): LayerSpec[] => {
  const plain = { padding: 1, bias: false };
  const block = (from: number, to: number, stride: number): LayerSpec => ({
    type: "residual",
    main: [
      ...[conv(from, to, 3, { ...plain, stride }), batchNorm(to), relu],
      ...[conv(to, to, 3, plain), batchNorm(to)],
    ],
    shortcut: from === to ? [] : [conv(from, to, 1, { stride, bias: false }), batchNorm(to)],
  });
  const stage = (from: number, to: number, stride: number): LayerSpec[] => [
    block(from, to, stride),
    block(to, to, 1),
    block(to, to, 1),
  ];
  return [
    ...[conv(3, 16, 3, plain), batchNorm(16), relu],
    ...[...stage(16, 16, 1), ...stage(16, 32, 2), ...stage(32, 64, 2)],
    ...[globalAvgPool, linear(64, 10)],
  ];
};

/** The layers of the CIFAR-10 speed net (arXiv 2404.00498) at widths 16, 32, 32; all of them trained. */
const speedNet = (): LayerSpec[] => {
  const plain = { padding: 1, bias: false };
  const group = (from: number, to: number): LayerSpec[] => [
    ...[conv(from, to, 3, plain), maxPool(2), batchNorm(to), gelu],
    ...[conv(to, to, 3, plain), batchNorm(to), gelu],
  ];
  return [
    ...[conv(3, 24, 2), gelu],
    ...[...group(24, 16), ...group(16, 32), ...group(32, 32)],
    ...[maxPool(3), flatten, linear(32, 10, false)],
  ];
};

export interface Network {
  /** For square images of three channels and ten classes. */
  layers(image: number): readonly LayerSpec[];
  /** The smallest images besides 32x32 that it can take; 32 if there are none. */
  readonly smallestImage: number;
}

export const networks = {
  "lenet5-rgb": { layers: lenet5, smallestImage: 32 },
  "vgg-s": { layers: vggS, smallestImage: 8 },
  resnet20: { layers: resnet20, smallestImage: 8 },
  "speed-net": { layers: speedNet, smallestImage: 32 },
} as const satisfies Record<string, Network>;

export type NetworkName = keyof typeof networks;

/** [channels, height, width] of one image. A flatten keeps it; after a linear layer, height and width are 1. */
export type ImageShape = readonly [number, number, number];

export const windowCount = (size: number, kernel: number, stride: number, padding: number): number =>
  Math.floor((size + 2 * padding - kernel) / stride) + 1;

const shapes: LayerTable<ImageShape, ImageShape> = {
  conv2d: ({ out, kernel, stride, padding }, [, h, w]) => [
    out,
    windowCount(h, kernel, stride, padding),
    windowCount(w, kernel, stride, padding),
  ],
  linear: ({ out }) => [out, 1, 1],
  batchNorm2d: (_, shape) => shape,
  maxPool2d: ({ kernel }, [c, h, w]) => [c, Math.floor(h / kernel), Math.floor(w / kernel)],
  relu: (_, shape) => shape,
  gelu: (_, shape) => shape,
  globalAvgPool2d: (_, [c]) => [c, 1, 1],
  flatten: (_, shape) => shape,
  residual: ({ main }, shape) => outputShape(main, shape),
};

/** What one layer makes of images of `input`. */
export const layerShape = (spec: LayerSpec, input: ImageShape): ImageShape => makeLayer(shapes, spec, input);

const outputShape = (layers: readonly LayerSpec[], input: ImageShape): ImageShape =>
  layers.reduce((shape, spec) => layerShape(spec, shape), input);

/** A layer that is no residual, where it stands. */
export interface PlacedLayer {
  /** As `6.main.0` */
  readonly path: string;
  readonly spec: Exclude<LayerSpec, { type: "residual" }>;
  readonly input: ImageShape;
}

/** All layers in order, those inside residuals included. */
export const placedLayers = (layers: readonly LayerSpec[], input: ImageShape, prefix = ""): PlacedLayer[] => {
  const placed: PlacedLayer[] = [];
  let shape = input;
  layers.forEach((spec, i) => {
    const path = `${prefix}${i}`;
    if (spec.type === "residual")
      placed.push(
        ...placedLayers(spec.main, shape, `${path}.main.`),
        ...placedLayers(spec.shortcut, shape, `${path}.shortcut.`),
      );
    else placed.push({ path, spec, input: shape });
    shape = layerShape(spec, shape);
  });
  return placed;
};

export interface ParameterSpec {
  /** As `6.main.0.weight` */
  readonly name: string;
  readonly shape: readonly number[];
  /** Uniform in ±bound; else all ones or zeros. */
  readonly init: { readonly bound: number } | "ones" | "zeros";
}

/** Every trained parameter, with PyTorch's default initialisation. */
export const parametersOf = (layers: readonly LayerSpec[], input: ImageShape): ParameterSpec[] =>
  placedLayers(layers, input).flatMap(({ path, spec }): ParameterSpec[] => {
    if (spec.type === "batchNorm2d")
      return [
        { name: `${path}.weight`, shape: [spec.features], init: "ones" },
        { name: `${path}.bias`, shape: [spec.features], init: "zeros" },
      ];
    if (spec.type !== "conv2d" && spec.type !== "linear") return [];
    const shape = spec.type === "conv2d" ? [spec.out, spec.in, spec.kernel, spec.kernel] : [spec.out, spec.in];
    const init = { bound: 1 / Math.sqrt(shape.slice(1).reduce((a, b) => a * b, 1)) };
    const weight = { name: `${path}.weight`, shape, init };
    return spec.bias ? [weight, { name: `${path}.bias`, shape: [spec.out], init }] : [weight];
  });

/** Multiply-adds of the forward pass of one image, in convolutions and linear layers. */
export const multiplyAdds = (layers: readonly LayerSpec[], input: ImageShape): number =>
  placedLayers(layers, input).reduce((total, { spec, input: [, h, w] }) => {
    if (spec.type === "linear") return total + spec.in * spec.out;
    if (spec.type !== "conv2d") return total;
    const { kernel, stride, padding } = spec;
    const positions = windowCount(h, kernel, stride, padding) * windowCount(w, kernel, stride, padding);
    return total + spec.in * spec.out * kernel ** 2 * positions;
  }, 0);
