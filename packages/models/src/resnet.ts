/**
 * K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, sections 3.3
 * and 4.1; for CIFAR, section 4.2. Names and initial values are torchvision's.
 */
import {
  adaptiveAvgPool2d,
  batchNorm2d,
  conv2d,
  init,
  inOrder,
  type Layer,
  type Layers,
  linear,
  maxPool2d,
  relu,
  sequential,
} from "@striate/nn";

/** Where a bottleneck makes its step: in the first 1x1 convolution (the paper's v1) or in the 3x3 (v1.5). */
export type ResNetVersion = "v1" | "v1.5";

/**
 * What a shortcut does where the shape changes: a 1x1 convolution (option B of section 4.1), or every second pixel, and
 * zeros for the channels that come new (option A, without parameters).
 */
export type Shortcut = "projection" | "padding";

interface BlockOptions {
  readonly inChannels: number;
  /** Of the 3x3 convolutions. */
  readonly width: number;
  readonly stride: number;
  readonly version: ResNetVersion;
}

interface Block {
  /** How often the output has `width` channels. */
  readonly expansion: number;
  /** The residual branch. */
  branch(options: BlockOptions): Layers;
}

const conv = (inChannels: number, outChannels: number, kernel: number, stride = 1): Layer =>
  conv2d(inChannels, outChannels, kernel, {
    stride,
    padding: (kernel - 1) / 2,
    bias: false,
    weightInit: init.kaimingNormal({ mode: "fanOut", nonlinearity: "relu" }),
  });

/** Figure 5, left. */
const basic: Block = {
  expansion: 1,
  branch: ({ inChannels, width, stride }) => ({
    conv1: conv(inChannels, width, 3, stride),
    bn1: batchNorm2d(width),
    relu: relu(),
    conv2: conv(width, width, 3),
    bn2: batchNorm2d(width),
  }),
};

/** Figure 5, right. */
const bottleneck: Block = {
  expansion: 4,
  branch: ({ inChannels, width, stride, version }) => ({
    conv1: conv(inChannels, width, 1, version === "v1" ? stride : 1),
    bn1: batchNorm2d(width),
    relu1: relu(),
    conv2: conv(width, width, 3, version === "v1" ? 1 : stride),
    bn2: batchNorm2d(width),
    relu2: relu(),
    conv3: conv(width, 4 * width, 1),
    bn3: batchNorm2d(4 * width),
  }),
};

const shortcuts = {
  projection: (inChannels: number, outChannels: number, stride: number): Layer =>
    sequential([conv(inChannels, outChannels, 1, stride), batchNorm2d(outChannels)]),
  padding: (inChannels: number, outChannels: number, stride: number): Layer => {
    const after = [0, outChannels - inChannels, 0, 0];
    return () => (x) => x.slice({ step: [1, 1, stride, stride] }).pad({ before: [0, 0, 0, 0], after });
  },
} as const;

const residual =
  (block: Block, shortcut: Shortcut, options: BlockOptions): Layer =>
  (m) => {
    const { inChannels, width, stride } = options;
    const outChannels = width * block.expansion;
    const branch = inOrder(m, block.branch(options));
    const changes = stride !== 1 || inChannels !== outChannels;
    const downsample = changes && m.child("downsample", shortcuts[shortcut](inChannels, outChannels, stride));
    return (x) =>
      branch(x)
        .add(downsample ? downsample(x) : x)
        .relu();
  };

interface Architecture {
  readonly block: Block;
  /** Blocks a stage. */
  readonly blocks: readonly number[];
  /** Width of the first stage; it doubles with each. */
  readonly width: number;
  readonly stem: Layers;
  readonly classes: number;
  readonly version?: ResNetVersion;
  readonly shortcut?: Shortcut;
}

const network =
  ({ block, blocks, width, stem, classes, version = "v1.5", shortcut = "projection" }: Architecture): Layer =>
  (m) => {
    let inChannels = width;
    const stages = blocks.map((count, stage) => {
      const own = width * 2 ** stage;
      const layers = Array.from({ length: count }, (_, i) => {
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const layer = residual(block, shortcut, { inChannels, width: own, stride, version });
        inChannels = own * block.expansion;
        return layer;
      });
      return [`layer${stage + 1}`, sequential(layers)] as const;
    });
    const images = inOrder(m, { ...stem, ...Object.fromEntries(stages), avgpool: adaptiveAvgPool2d(1) });
    const fc = m.child("fc", linear(inChannels, classes));
    return (x) => fc(images(x).flatten(1));
  };

export interface ResNetOptions {
  /** Default 1000. */
  readonly classes?: number;
}

export interface BottleneckResNetOptions extends ResNetOptions {
  /** Default "v1.5", as torchvision. */
  readonly version?: ResNetVersion;
}

/** For [N, 3, H, W]: table 1. */
const imageNet = (block: Block, blocks: readonly number[], options: BottleneckResNetOptions): Layer =>
  network({
    block,
    blocks,
    width: 64,
    stem: {
      conv1: conv(3, 64, 7, 2),
      bn1: batchNorm2d(64),
      relu: relu(),
      maxpool: maxPool2d(3, { stride: 2, padding: 1 }),
    },
    classes: 1000,
    ...options,
  });

/** 11,689,512 parameters. */
export const resnet18 = (options: ResNetOptions = {}): Layer => imageNet(basic, [2, 2, 2, 2], options);
/** 21,797,672 parameters. */
export const resnet34 = (options: ResNetOptions = {}): Layer => imageNet(basic, [3, 4, 6, 3], options);
/** 25,557,032 parameters. */
export const resnet50 = (options: BottleneckResNetOptions = {}): Layer => imageNet(bottleneck, [3, 4, 6, 3], options);
/** 44,549,160 parameters. */
export const resnet101 = (options: BottleneckResNetOptions = {}): Layer => imageNet(bottleneck, [3, 4, 23, 3], options);
/** 60,192,808 parameters. */
export const resnet152 = (options: BottleneckResNetOptions = {}): Layer => imageNet(bottleneck, [3, 8, 36, 3], options);

export interface ResNetCifarOptions {
  /** Default 10. */
  readonly classes?: number;
  /** Default "padding", as published. */
  readonly shortcut?: Shortcut;
}

const cifarStem = (width: number): Layers => ({ conv1: conv(3, width, 3), bn1: batchNorm2d(width), relu: relu() });

/** Section 4.2, for [N, 3, 32, 32]: 6n + 2 layers with weights in three stages of 16, 32 and 64 channels. */
const cifar = (n: number, options: ResNetCifarOptions): Layer =>
  network({
    block: basic,
    blocks: [n, n, n],
    width: 16,
    stem: cifarStem(16),
    classes: 10,
    shortcut: "padding",
    ...options,
  });

/** 269,722 parameters. */
export const resnet20 = (options: ResNetCifarOptions = {}): Layer => cifar(3, options);
/** 464,154 parameters. */
export const resnet32 = (options: ResNetCifarOptions = {}): Layer => cifar(5, options);
/** 853,018 parameters. */
export const resnet56 = (options: ResNetCifarOptions = {}): Layer => cifar(9, options);
/** 1,727,962 parameters. */
export const resnet110 = (options: ResNetCifarOptions = {}): Layer => cifar(18, options);

/** ResNet-18 for [N, 3, 32, 32]: a 3x3 stem without a pool; 11,173,962 parameters. */
export const resnet18Cifar = ({ classes = 10 }: ResNetOptions = {}): Layer =>
  network({ block: basic, blocks: [2, 2, 2, 2], width: 64, stem: cifarStem(64), classes });
