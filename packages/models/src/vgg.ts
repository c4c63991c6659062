/**
 * K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, section
 * 2.1. Names and initial values are torchvision's; the letters are the columns of table 1.
 */
import {
  adaptiveAvgPool2d,
  batchNorm2d,
  conv2d,
  dropout as dropoutLayer,
  type InitOptions,
  init,
  type Layer,
  linear,
  maxPool2d,
  relu,
  sequential,
} from "@striate/nn";
import { krizhevskyNorm } from "./alexnet.js";
import { featuresClassifier } from "./features-classifier.js";

/** A convolution with that many maps, 3x3 or as said, and a ReLU; a pool; a normalization. */
type Stage = number | { readonly maps: number; readonly kernel: 1 } | "pool" | "lrn";

const repeated = (counts: readonly [number, number, number, number, number]): Stage[] =>
  [64, 128, 256, 512, 512].flatMap((maps, i): Stage[] => [
    ...new Array<number>(counts[i] as number).fill(maps),
    "pool",
  ]);

const configurations = {
  A: () => repeated([1, 1, 2, 2, 2]),
  "A-LRN": () => [64, "lrn", ...repeated([1, 1, 2, 2, 2]).slice(1)] as Stage[],
  B: () => repeated([2, 2, 2, 2, 2]),
  // The third convolution of the last three stages is 1x1.
  C: () =>
    repeated([2, 2, 3, 3, 3]).map((stage, i, all) =>
      typeof stage === "number" && stage >= 256 && all[i + 1] === "pool"
        ? ({ maps: stage, kernel: 1 } as const)
        : stage,
    ),
  D: () => repeated([2, 2, 3, 3, 3]),
  E: () => repeated([2, 2, 4, 4, 4]),
} as const;

const convInits = (): InitOptions => ({
  weightInit: init.kaimingNormal({ mode: "fanOut", nonlinearity: "relu" }),
  biasInit: init.constant(0),
});

const linearInits = (): InitOptions => ({
  weightInit: init.normal(0, 0.01),
  biasInit: init.constant(0),
});

const featuresOf = (configuration: keyof typeof configurations, batchNorm: boolean): Layer[] => {
  let channels = 3;
  return configurations[configuration]().flatMap((stage): Layer[] => {
    if (stage === "pool") return [maxPool2d(2)];
    if (stage === "lrn") return [krizhevskyNorm()];
    const { maps, kernel } = typeof stage === "number" ? { maps: stage, kernel: 3 } : stage;
    const conv = conv2d(channels, maps, kernel, { padding: (kernel - 1) / 2, ...convInits() });
    channels = maps;
    return [conv, ...(batchNorm ? [batchNorm2d(maps)] : []), relu()];
  });
};

export interface VggOptions {
  /** Default 1000. */
  readonly classes?: number;
  /** Behind each hidden layer. Default 0.5. */
  readonly dropout?: number;
}

/** For [N, 3, H, W] from 32x32. */
const vgg =
  (configuration: keyof typeof configurations, batchNorm = false) =>
  ({ classes = 1000, dropout = 0.5 }: VggOptions = {}): Layer =>
    featuresClassifier(featuresOf(configuration, batchNorm), adaptiveAvgPool2d(7), [
      linear(512 * 7 * 7, 4096, linearInits()),
      relu(),
      dropoutLayer(dropout),
      linear(4096, 4096, linearInits()),
      relu(),
      dropoutLayer(dropout),
      linear(4096, classes, linearInits()),
    ]);

type MakeVgg = (options?: VggOptions) => Layer;

/** A: 132,863,336 parameters. */
export const vgg11: MakeVgg = /* @__PURE__ */ vgg("A");
/** A-LRN: A with a local response normalization behind the first convolution. */
export const vgg11Lrn: MakeVgg = /* @__PURE__ */ vgg("A-LRN");
/** B: 133,047,848 parameters. */
export const vgg13: MakeVgg = /* @__PURE__ */ vgg("B");
/** C: D with 1x1 windows in the third convolution of a stage; 133,638,952 parameters. */
export const vgg16C: MakeVgg = /* @__PURE__ */ vgg("C");
/** D: 138,357,544 parameters. */
export const vgg16: MakeVgg = /* @__PURE__ */ vgg("D");
/** E: 143,667,240 parameters. */
export const vgg19: MakeVgg = /* @__PURE__ */ vgg("E");
export const vgg11Bn: MakeVgg = /* @__PURE__ */ vgg("A", true);
export const vgg13Bn: MakeVgg = /* @__PURE__ */ vgg("B", true);
export const vgg16Bn: MakeVgg = /* @__PURE__ */ vgg("D", true);
export const vgg19Bn: MakeVgg = /* @__PURE__ */ vgg("E", true);

export interface VggCifarOptions {
  /** Default 10. */
  readonly classes?: number;
}

/** For [N, 3, 32, 32]: after five pools an image is one pixel of 512 maps, which one linear layer classifies. */
const vggCifar =
  (configuration: keyof typeof configurations) =>
  ({ classes = 10 }: VggCifarOptions = {}): Layer =>
  (m) => {
    const features = m.child("features", sequential(featuresOf(configuration, true)));
    const classifier = m.child("classifier", linear(512, classes, linearInits()));
    return (x) => classifier(features(x).flatten(1));
  };

type MakeVggCifar = (options?: VggCifarOptions) => Layer;

/** 9,231,114 parameters. */
export const vgg11BnCifar: MakeVggCifar = /* @__PURE__ */ vggCifar("A");
/** 14,728,266 parameters. */
export const vgg16BnCifar: MakeVggCifar = /* @__PURE__ */ vggCifar("D");
/** 20,040,522 parameters. */
export const vgg19BnCifar: MakeVggCifar = /* @__PURE__ */ vggCifar("E");
