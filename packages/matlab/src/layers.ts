/** Layers as MATLAB's Deep Learning Toolbox names them. They are data: sizes of inputs are found out when they are joined. */
import { ArgumentError } from "@striate/core";
import * as nn from "@striate/nn";
import { expectIntegers, expectNonNegative, type Padding, type Pair, pairOf, type Size, slide } from "./size.js";

/** How much of the global rates a parameter gets. */
export interface Factors {
  readonly learnRate: number;
  readonly l2: number;
}

/** A layer for inputs of one size. */
export interface Built {
  readonly layer: nn.Layer;
  readonly output: Size;
  /** By the parameter's name within the layer; 1 and 1 for those that are not there. */
  readonly factors?: Readonly<Record<string, Factors>>;
}

export interface MatlabLayer {
  /** What a layer without a name of its own is called, with a number where there are several. */
  readonly kind: string;
  /** "" for a name by kind. */
  readonly Name: string;
  /** @throws ArgumentError for an input that does not fit; `name` is for the message */
  build(input: Size, name: string): Built;
}

/** The first layer. */
export interface InputLayer extends MatlabLayer {
  readonly kind: "imageinput";
  readonly InputSize: readonly [height: number, width: number, channels: number];
  readonly Normalization: Normalization;
}

export interface NameOptions {
  /** Default: the kind of the layer, with a number if there are several. */
  readonly Name?: string | undefined;
}

/** Shape and numbers stay; no parameters. */
const simple = (kind: string, layer: nn.Layer, { Name = "" }: NameOptions = {}): MatlabLayer => ({
  kind,
  Name,
  build: (output) => ({ layer, output }),
});

// Input ----------------------------------------------------------------------------------------------------------

const normalizations = ["zerocenter", "zscore", "rescale-symmetric", "rescale-zero-one", "none"] as const;
export type Normalization = (typeof normalizations)[number];

export interface ImageInputOptions extends NameOptions {
  /**
   * Of values from 0 to 255: minus the mean of the training images (default), that divided by their standard deviation,
   * into [-1, 1], into [0, 1], or as they are. Statistics are by channel.
   */
  readonly Normalization?: Normalization | undefined;
}

/** Images of [height width channels]. */
export const imageInputLayer = (
  InputSize: readonly [height: number, width: number, channels: number],
  { Normalization = "zerocenter", Name = "" }: ImageInputOptions = {},
): InputLayer => {
  if (InputSize.length !== 3)
    throw new ArgumentError(`imageInputLayer: InputSize is [${InputSize}], expected [height, width, channels]`);
  expectIntegers("imageInputLayer", { InputSize }, 1);
  if (!normalizations.includes(Normalization))
    throw new ArgumentError(
      `imageInputLayer: Normalization is ${JSON.stringify(Normalization)}, expected ${normalizations.join(", ")}`,
    );
  return { ...simple("imageinput", nn.identity(), { Name }), kind: "imageinput", InputSize, Normalization };
};

// Layers with weights --------------------------------------------------------------------------------------------

const initialisers: Readonly<Record<string, () => nn.Initialiser>> = {
  glorot: () => nn.init.xavierUniform(),
  he: () => nn.init.kaimingNormal(),
  "narrow-normal": () => nn.init.normal(0, 0.01),
  zeros: () => nn.init.constant(0),
  ones: () => nn.init.constant(1),
};
/** Glorot uniform, He normal, normal with standard deviation 0.01, or constants; or an initialiser of @striate/nn. */
export type Initializer = "glorot" | "he" | "narrow-normal" | "zeros" | "ones" | nn.Initialiser;

export interface WeightOptions extends NameOptions {
  /** Default "glorot". */
  readonly WeightsInitializer?: Initializer | undefined;
  /** Default "zeros". */
  readonly BiasInitializer?: Initializer | undefined;
  /** Times the global learning rate. Default 1. */
  readonly WeightLearnRateFactor?: number | undefined;
  /** Default 1. */
  readonly BiasLearnRateFactor?: number | undefined;
  /** Times the global L2Regularization. Default 1. */
  readonly WeightL2Factor?: number | undefined;
  /** Default 0. */
  readonly BiasL2Factor?: number | undefined;
}

const initialiserOf = (layer: string, option: string, given: Initializer): nn.Initialiser => {
  if (typeof given === "function") return given;
  const make = Object.hasOwn(initialisers, given) ? initialisers[given] : undefined;
  if (!make)
    throw new ArgumentError(
      `${layer}: ${option} is ${JSON.stringify(given)}, expected ${Object.keys(initialisers).join(", ")}, or a function`,
    );
  return make();
};

const weightsOf = (
  layer: string,
  {
    WeightsInitializer = "glorot",
    BiasInitializer = "zeros",
    WeightLearnRateFactor = 1,
    BiasLearnRateFactor = 1,
    WeightL2Factor = 1,
    BiasL2Factor = 0,
  }: WeightOptions,
): { inits: Required<nn.InitOptions>; factors: Readonly<Record<string, Factors>> } => {
  expectNonNegative(layer, { WeightLearnRateFactor, BiasLearnRateFactor, WeightL2Factor, BiasL2Factor });
  return {
    inits: {
      weightInit: initialiserOf(layer, "WeightsInitializer", WeightsInitializer),
      biasInit: initialiserOf(layer, "BiasInitializer", BiasInitializer),
    },
    factors: {
      weight: { learnRate: WeightLearnRateFactor, l2: WeightL2Factor },
      bias: { learnRate: BiasLearnRateFactor, l2: BiasL2Factor },
    },
  };
};

export interface WindowOptions extends NameOptions {
  /** Default 1, of pools too. */
  readonly Stride?: Pair | undefined;
  /** Default 0. */
  readonly Padding?: Padding | undefined;
}

export interface ConvolutionOptions extends WeightOptions, WindowOptions {
  /** Default 1. */
  readonly DilationFactor?: Pair | undefined;
}

const convolution = (
  kind: string,
  layer: string,
  filterSize: Pair,
  options: ConvolutionOptions,
  shapeOf: (channels: number, name: string) => { readonly filters: number; readonly groups: number },
): MatlabLayer => {
  const { Stride = 1, DilationFactor = 1, Padding = 0, Name = "" } = options;
  expectIntegers(layer, { filterSize }, 1);
  const { inits, factors } = weightsOf(layer, options);
  return {
    kind,
    Name,
    build: (input, name) => {
      const window = { kernel: filterSize, stride: Stride, dilation: DilationFactor, padding: Padding };
      const { sides, height, width } = slide(`${layer} ${name}`, input, window);
      const { filters, groups } = shapeOf(input.channels, name);
      return {
        layer: nn.conv2d(input.channels, filters, filterSize, {
          stride: Stride,
          dilation: DilationFactor,
          padding: sides,
          groups,
          ...inits,
        }),
        output: { height, width, channels: filters, flat: false },
        factors,
      };
    },
  };
};

/** `numFilters` filters of `filterSize` over all channels. */
export const convolution2dLayer = (
  filterSize: Pair,
  numFilters: number,
  options: ConvolutionOptions = {},
): MatlabLayer => {
  expectIntegers("convolution2dLayer", { numFilters }, 1);
  return convolution("conv", "convolution2dLayer", filterSize, options, () => ({ filters: numFilters, groups: 1 }));
};

/** `numFiltersPerGroup` filters over each of `numGroups` groups of channels; "channel-wise": one channel a group. */
export const groupedConvolution2dLayer = (
  filterSize: Pair,
  numFiltersPerGroup: number,
  numGroups: number | "channel-wise",
  options: ConvolutionOptions = {},
): MatlabLayer => {
  const layer = "groupedConvolution2dLayer";
  expectIntegers(layer, { numFiltersPerGroup }, 1);
  if (numGroups !== "channel-wise") expectIntegers(layer, { numGroups }, 1);
  return convolution("groupedconv", layer, filterSize, options, (channels, name) => {
    const groups = numGroups === "channel-wise" ? channels : numGroups;
    if (channels % groups !== 0)
      throw new ArgumentError(`${layer} ${name}: ${groups} groups do not divide ${channels} channels`);
    return { filters: numFiltersPerGroup * groups, groups };
  });
};

/** Every output sees every input; images become vectors. */
export const fullyConnectedLayer = (outputSize: number, options: WeightOptions = {}): MatlabLayer => {
  expectIntegers("fullyConnectedLayer", { outputSize }, 1);
  const { inits, factors } = weightsOf("fullyConnectedLayer", options);
  return {
    kind: "fc",
    Name: options.Name ?? "",
    build: ({ height, width, channels }) => ({
      layer: (m) => {
        const flatten = nn.flatten()(m);
        const linear = nn.linear(height * width * channels, outputSize, inits)(m);
        return (x) => linear(flatten(x));
      },
      output: { height: 1, width: 1, channels: outputSize, flat: true },
      factors,
    }),
  };
};

// Normalization --------------------------------------------------------------------------------------------------

export interface BatchNormalizationOptions extends NameOptions {
  /** Added to the variance. Default 1e-5. */
  readonly Epsilon?: number | undefined;
  /** Share of the batch in the moving statistics; MATLAB has one for the mean and one for the variance. Default 0.1. */
  readonly MeanDecay?: number | undefined;
  readonly ScaleLearnRateFactor?: number | undefined;
  readonly OffsetLearnRateFactor?: number | undefined;
  readonly ScaleL2Factor?: number | undefined;
  readonly OffsetL2Factor?: number | undefined;
}

/** Evaluation uses the moving statistics. */
export const batchNormalizationLayer = ({
  Name = "",
  Epsilon = 1e-5,
  MeanDecay = 0.1,
  ScaleLearnRateFactor = 1,
  OffsetLearnRateFactor = 1,
  ScaleL2Factor = 1,
  OffsetL2Factor = 1,
}: BatchNormalizationOptions = {}): MatlabLayer => {
  const rates = { ScaleLearnRateFactor, OffsetLearnRateFactor, ScaleL2Factor, OffsetL2Factor };
  expectNonNegative("batchNormalizationLayer", { Epsilon, MeanDecay, ...rates });
  return {
    kind: "batchnorm",
    Name,
    build: (input) => ({
      layer: (input.flat ? nn.batchNorm1d : nn.batchNorm2d)(input.channels, { eps: Epsilon, momentum: MeanDecay }),
      output: input,
      factors: {
        weight: { learnRate: ScaleLearnRateFactor, l2: ScaleL2Factor },
        bias: { learnRate: OffsetLearnRateFactor, l2: OffsetL2Factor },
      },
    }),
  };
};

export interface CrossChannelNormalizationOptions extends NameOptions {
  /** Default 1e-4. Divided by the window's size. */
  readonly Alpha?: number | undefined;
  /** Default 0.75. */
  readonly Beta?: number | undefined;
  /** Default 2. */
  readonly K?: number | undefined;
}

/** Across `windowChannelSize` neighbouring channels. */
export const crossChannelNormalizationLayer = (
  windowChannelSize: number,
  { Name = "", Alpha = 1e-4, Beta = 0.75, K = 2 }: CrossChannelNormalizationOptions = {},
): MatlabLayer => {
  expectIntegers("crossChannelNormalizationLayer", { windowChannelSize }, 1);
  return simple("crossnorm", nn.localResponseNorm(windowChannelSize, { alpha: Alpha, beta: Beta, k: K }), { Name });
};

// Pooling --------------------------------------------------------------------------------------------------------

const pooling = (
  kind: string,
  layer: string,
  poolSize: Pair,
  { Stride = 1, Padding = 0, Name = "" }: WindowOptions,
  make: typeof nn.maxPool2d | typeof nn.avgPool2d,
): MatlabLayer => {
  expectIntegers(layer, { poolSize }, 1);
  return {
    kind,
    Name,
    build: (input, name) => {
      const window = { kernel: poolSize, stride: Stride, dilation: 1, padding: Padding };
      const { sides, height, width } = slide(`${layer} ${name}`, input, window);
      return {
        layer: make(pairOf(poolSize), { stride: Stride, padding: sides }),
        output: { ...input, height, width },
      };
    },
  };
};

export const maxPooling2dLayer = (poolSize: Pair, options: WindowOptions = {}): MatlabLayer =>
  pooling("maxpool", "maxPooling2dLayer", poolSize, options, nn.maxPool2d);

/** Zeros of the padding are averaged with the rest. */
export const averagePooling2dLayer = (poolSize: Pair, options: WindowOptions = {}): MatlabLayer =>
  pooling("avgpool", "averagePooling2dLayer", poolSize, options, nn.avgPool2d);

const globalPooling = (kind: string, layer: nn.Layer, { Name = "" }: NameOptions): MatlabLayer => ({
  kind,
  Name,
  build: (input, name) => {
    if (input.flat) throw new ArgumentError(`${name}: its input is a vector of ${input.channels}, expected an image`);
    return { layer, output: { ...input, height: 1, width: 1 } };
  },
});

export const globalAveragePooling2dLayer = (options: NameOptions = {}): MatlabLayer =>
  globalPooling("gapool", nn.adaptiveAvgPool2d(1), options);

export const globalMaxPooling2dLayer = (options: NameOptions = {}): MatlabLayer =>
  globalPooling("gmpool", nn.adaptiveMaxPool2d(1), options);

// The rest -------------------------------------------------------------------------------------------------------

export const reluLayer = (options: NameOptions = {}): MatlabLayer => simple("relu", nn.relu(), options);

export const leakyReluLayer = (scale = 0.01, options: NameOptions = {}): MatlabLayer =>
  simple("leakyrelu", nn.leakyRelu(scale), options);

/** min(max(x, 0), ceiling) */
export const clippedReluLayer = (ceiling: number, options: NameOptions = {}): MatlabLayer => {
  if (!(ceiling > 0)) throw new ArgumentError(`clippedReluLayer: ceiling is ${ceiling}, expected a positive number`);
  return simple("clippedrelu", () => (x) => x.clamp({ min: 0, max: ceiling }), options);
};

export const eluLayer = (alpha = 1, options: NameOptions = {}): MatlabLayer => simple("elu", nn.elu(alpha), options);

export const tanhLayer = (options: NameOptions = {}): MatlabLayer => simple("tanh", nn.tanh(), options);

export const sigmoidLayer = (options: NameOptions = {}): MatlabLayer => simple("sigmoid", nn.sigmoid(), options);

export const swishLayer = (options: NameOptions = {}): MatlabLayer => simple("swish", nn.silu(), options);

export const geluLayer = (options: NameOptions = {}): MatlabLayer => simple("gelu", nn.gelu(), options);

/** In training each value is 0 with that probability, and the others grow by as much. */
export const dropoutLayer = (probability = 0.5, options: NameOptions = {}): MatlabLayer =>
  simple("dropout", nn.dropout(probability), options);

export const flattenLayer = ({ Name = "" }: NameOptions = {}): MatlabLayer => ({
  kind: "flatten",
  Name,
  build: ({ height, width, channels }) => ({
    layer: nn.flatten(),
    output: { height: 1, width: 1, channels: height * width * channels, flat: true },
  }),
});

/** Must be the last but one: the loss and `predict` do what it stands for. */
export const softmaxLayer = (options: NameOptions = {}): MatlabLayer => simple("softmax", nn.identity(), options);

/** Cross-entropy; must be the last. */
export const classificationLayer = (options: NameOptions = {}): MatlabLayer =>
  simple("classoutput", nn.identity(), options);
