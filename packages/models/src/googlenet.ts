/** C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 5, as published and as torchvision has it. */
import { concat, type Tensor } from "@striate/core";
import {
  adaptiveAvgPool2d,
  avgPool2d,
  batchNorm2d,
  conv2d,
  dropout,
  type Initialiser,
  type InitOptions,
  init,
  inOrder,
  type Layer,
  type Layers,
  linear,
  localResponseNorm,
  maxPool2d,
  type Output,
  relu,
  sequential,
} from "@striate/nn";

/** What the two forms differ in. */
interface Form {
  /** A convolution that keeps the size at stride 1, with what belongs to it. */
  unit(inChannels: number, outChannels: number, kernel: number, stride?: number): Layer;
  /** The window of the inception modules' third branch. */
  readonly large: number;
  /** The window of the pool between inception 4 and 5. */
  readonly lastPool: number;
  /** After the first pool, and before the second. */
  norm?(): Layer;
  /** To 4x4. */
  auxiliaryPool(): Layer;
  readonly linear: InitOptions;
  readonly dropout: number;
}

/** #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj: the columns of table 1. */
type Widths = readonly [number, number, number, number, number, number];

const inceptions = {
  inception3a: [64, 96, 128, 16, 32, 32],
  inception3b: [128, 128, 192, 32, 96, 64],
  inception4a: [192, 96, 208, 16, 48, 64],
  inception4b: [160, 112, 224, 24, 64, 64],
  inception4c: [128, 128, 256, 24, 64, 64],
  inception4d: [112, 144, 288, 32, 64, 64],
  inception4e: [256, 160, 320, 32, 128, 128],
  inception5a: [256, 160, 320, 32, 128, 128],
  inception5b: [384, 192, 384, 48, 128, 128],
} as const satisfies Record<string, Widths>;

const inception =
  ({ unit, large }: Form, channels: number, widths: Widths): Layer =>
  (m) => {
    const [one, reduce3, three, reduce5, five, projected] = widths;
    const branches = [
      m.child("branch1", unit(channels, one, 1)),
      m.child("branch2", sequential([unit(channels, reduce3, 1), unit(reduce3, three, 3)])),
      m.child("branch3", sequential([unit(channels, reduce5, 1), unit(reduce5, five, large)])),
      m.child("branch4", sequential([maxPool2d(3, { stride: 1, padding: 1 }), unit(channels, projected, 1)])),
    ];
    return (x) =>
      concat(
        branches.map((branch) => branch(x)),
        1,
      );
  };

const auxiliaryClassifier =
  (form: Form, channels: number, classes: number): Layer =>
  (m) => {
    const image = inOrder(m, { pool: form.auxiliaryPool(), conv: form.unit(channels, 128, 1) });
    const fc1 = m.child("fc1", linear(128 * 4 * 4, 1024, form.linear));
    const drop = m.child("dropout", dropout(0.7));
    const fc2 = m.child("fc2", linear(1024, classes, form.linear));
    return (x) => fc2(drop(fc1(image(x).flatten(1)).relu()));
  };

export interface GoogLeNetOptions {
  /** Default 1000. */
  readonly classes?: number;
  /** Whether there are classifiers behind inception 4a and 4d to train with; their losses weigh 0.3. Default true. */
  readonly auxiliary?: boolean;
  /** Of the last layer's inputs. Default: 0.4 as published, 0.2 in torchvision's form. */
  readonly dropout?: number;
}

const network =
  (form: Form, options: GoogLeNetOptions): Layer<(x: Tensor) => Output> =>
  (m) => {
    const { classes = 1000, auxiliary = true, dropout: p = form.dropout } = options;
    const { unit, norm } = form;
    const pool = (kernel: number): Layer => maxPool2d(kernel, { stride: 2, ceilMode: true });
    let channels = 192;
    const modules = (...names: readonly (keyof typeof inceptions)[]): Layers =>
      Object.fromEntries(
        names.map((name) => {
          const widths: Widths = inceptions[name];
          const layer = inception(form, channels, widths);
          channels = widths[0] + widths[2] + widths[4] + widths[5];
          return [name, layer];
        }),
      );
    const to4a = inOrder(m, {
      conv1: unit(3, 64, 7, 2),
      maxpool1: pool(3),
      ...(norm && { norm1: norm() }),
      conv2: unit(64, 64, 1),
      conv3: unit(64, 192, 3),
      ...(norm && { norm2: norm() }),
      maxpool2: pool(3),
      ...modules("inception3a", "inception3b"),
      maxpool3: pool(3),
      ...modules("inception4a"),
    });
    const to4d = inOrder(m, modules("inception4b", "inception4c", "inception4d"));
    const toTop = inOrder(m, {
      ...modules("inception4e"),
      maxpool4: pool(form.lastPool),
      ...modules("inception5a", "inception5b"),
    });
    const heads = auxiliary && {
      aux1: m.child("aux1", auxiliaryClassifier(form, 512, classes)),
      aux2: m.child("aux2", auxiliaryClassifier(form, 528, classes)),
    };
    const top = inOrder(m, { avgpool: adaptiveAvgPool2d(1), dropout: dropout(p) });
    const fc = m.child("fc", linear(1024, classes, form.linear));
    return (x) => {
      const a = to4a(x);
      const d = to4d(a);
      const logits = fc(top(toTop(d)).flatten(1));
      return heads && m.training ? { logits, auxiliary: [heads.aux1(a), heads.aux2(d)] } : logits;
    };
  };

export interface TorchvisionGoogLeNetOptions extends GoogLeNetOptions {
  /** Take images normalized by ImageNet's mean and std to [-1, 1], as torchvision's trained weights want it. Default false. */
  readonly transformInput?: boolean;
}

/** What torchvision normalizes ImageNet by. */
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** (x · std + mean - 0.5) / 0.5 */
const toUnitRange: Layer = (m) => {
  const row = (values: readonly number[]): Tensor =>
    m.constant(m.dtype === "float64" ? Float64Array.from(values) : Float32Array.from(values), [1, 3, 1, 1], m.dtype);
  const scale = row(imageNet.std.map((std) => std / 0.5));
  const shift = row(imageNet.mean.map((mean) => (mean - 0.5) / 0.5));
  return (x) => x.mul(scale).add(shift);
};

/** Deviation 0.01, truncated where no number gets. */
const torchvisionInit = (): Initialiser => init.normal(0, 0.01);

/**
 * Torchvision's: batch norms in place of biases, no response normalization, and 3x3 where the paper has 5x5.
 * 13,004,888 parameters, 6,624,904 without auxiliary classifiers.
 */
export const googlenet = (options: TorchvisionGoogLeNetOptions = {}): Layer<(x: Tensor) => Output> => {
  const net = network(
    {
      unit:
        (inChannels, outChannels, kernel, stride = 1) =>
        (m) => {
          const geometry = { stride, padding: (kernel - 1) / 2, bias: false, weightInit: torchvisionInit() };
          return inOrder(m, {
            conv: conv2d(inChannels, outChannels, kernel, geometry),
            bn: batchNorm2d(outChannels, { eps: 1e-3 }),
            relu: relu(),
          });
        },
      large: 3,
      lastPool: 2,
      auxiliaryPool: () => adaptiveAvgPool2d(4),
      linear: { weightInit: torchvisionInit() },
      dropout: 0.2,
    },
    options,
  );
  if (!options.transformInput) return net;
  return (m) => {
    const transform = toUnitRange(m);
    const run = net(m);
    return (x) => run(transform(x));
  };
};

/** The paper does not say; these carry a signal through 22 layers of ReLU. */
const inits = (): InitOptions => ({ weightInit: init.kaimingNormal(), biasInit: init.constant(0) });

/** As published, for [N, 3, 224, 224]: 13,378,280 parameters, 6,998,552 without auxiliary classifiers. */
export const googlenet2014 = (options: GoogLeNetOptions = {}): Layer<(x: Tensor) => Output> =>
  network(
    {
      unit:
        (inChannels, outChannels, kernel, stride = 1) =>
        (m) => {
          const geometry = { stride, padding: (kernel - 1) / 2, ...inits() };
          return inOrder(m, { conv: conv2d(inChannels, outChannels, kernel, geometry), relu: relu() });
        },
      large: 5,
      lastPool: 3,
      norm: () => localResponseNorm(5),
      auxiliaryPool: () => avgPool2d(5, { stride: 3 }),
      linear: inits(),
      dropout: 0.4,
    },
    options,
  );
