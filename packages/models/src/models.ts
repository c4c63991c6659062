/** The networks by name. */
import { ArgumentError, type Tensor } from "@striate/core";
import { build, type Context, type Layer, type Module, type Output } from "@striate/nn";
import { closest, distance } from "fastest-levenshtein";
import { alexnet, alexnet2012 } from "./alexnet.js";
import { ann } from "./ann.js";
import { transposedAutoencoder, unpoolingAutoencoder } from "./autoencoder.js";
import { combinedNet } from "./combined-net.js";
import { googlenet, googlenet2014 } from "./googlenet.js";
import { lenet1989 } from "./lenet-1989.js";
import { lenet5 } from "./lenet5.js";
import { lenet5Of1998 } from "./lenet5-1998.js";
import { locallyConnectedNet } from "./locally-connected-net.js";
import { matlabExample, matlabSelfMade } from "./matlab-cnn.js";
import { maxoutNetwork } from "./maxout.js";
import { networkInNetwork } from "./network-in-network.js";
import {
  resnet18,
  resnet18Cifar,
  resnet20,
  resnet32,
  resnet34,
  resnet50,
  resnet56,
  resnet101,
  resnet110,
  resnet152,
} from "./resnet.js";
import { speedNet } from "./speed-net.js";
import {
  vgg11,
  vgg11Bn,
  vgg11BnCifar,
  vgg11Lrn,
  vgg13,
  vgg13Bn,
  vgg16,
  vgg16Bn,
  vgg16BnCifar,
  vgg16C,
  vgg19,
  vgg19Bn,
  vgg19BnCifar,
} from "./vgg.js";
import { zfnet } from "./zfnet.js";

export interface ModelEntry {
  /** The network as a layer; all its options have defaults. */
  readonly layer: (options?: never) => Layer<(x: Tensor) => Output>;
  /** [channels, height, width] of the images it is made for. */
  readonly input: readonly [number, number, number];
  /** Its layers whose outputs are the classes; none where the output is an image. */
  readonly heads: readonly string[];
  readonly paper: string;
  /** What it is, in a line. */
  readonly about: string;
  /** Parameters, names and results are those of torchvision's network of this name. */
  readonly torchvision?: true;
}

const imageNet = [3, 224, 224] as const;
const cifar = [3, 32, 32] as const;
const mnist = [1, 28, 28] as const;

const papers = {
  lenet1989: "LeCun et al., Neural Computation 1(4), 1989",
  lenet5: "LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 86(11), 1998",
  locallyConnected: "LeCun, Generalization and Network Design Strategies, 1989",
  maxout: "Goodfellow et al., ICML 2013",
  autoencoder: "Masci et al., ICANN 2011",
  alexnet: "Krizhevsky, Sutskever, Hinton, NIPS 2012",
  oneTower: "Krizhevsky, arXiv 1404.5997, 2014",
  zfnet: "Zeiler, Fergus, ECCV 2014",
  vgg: "Simonyan, Zisserman, ICLR 2015",
  googlenet: "Szegedy et al., CVPR 2015",
  networkInNetwork: "Lin, Chen, Yan, ICLR 2014",
  resnet: "He, Zhang, Ren, Sun, CVPR 2016",
  speedNet: "Jordan, arXiv 2404.00498, 2024",
  bouvrie: "Bouvrie, Notes on Convolutional Neural Networks, 2006",
  matlab: "MATLAB's Deep Learning Toolbox",
  none: "",
} as const;

/** What entries of a family share. */
const vgg = { input: imageNet, heads: ["classifier.6"], paper: papers.vgg } as const;
const vggCifar = { input: cifar, heads: ["classifier"], paper: papers.vgg } as const;
const resnet = { input: imageNet, heads: ["fc"], paper: papers.resnet } as const;
const resnetCifar = { input: cifar, heads: ["fc"], paper: papers.resnet } as const;
const inception = { input: imageNet, heads: ["fc", "aux1.fc2", "aux2.fc2"], paper: papers.googlenet } as const;
const torchvision = { torchvision: true } as const;

/** Names of torchvision's networks are torchvision's; `_cifar` marks forms for 32x32 pixels of networks for larger ones. */
export const models = {
  ann: { layer: ann, input: cifar, heads: ["3"], paper: papers.none, about: "one hidden layer, fully connected" },
  lenet_1989: {
    layer: lenet1989,
    input: [1, 16, 16],
    heads: ["output"],
    paper: papers.lenet1989,
    about: "read zip codes: strided convolutions with a bias for every unit",
  },
  lenet5_1998: {
    layer: lenet5Of1998,
    input: [1, 32, 32],
    heads: ["output"],
    paper: papers.lenet5,
    about: "LeNet-5 as published: trained subsampling, partial connections, RBF units",
  },
  lenet5: {
    layer: lenet5,
    input: cifar,
    heads: ["11"],
    paper: papers.lenet5,
    about: "LeNet-5 in its modern form: ReLU, max pooling",
  },
  locally_connected: {
    layer: locallyConnectedNet,
    input: cifar,
    heads: ["fc"],
    paper: papers.locallyConnected,
    about: "a kernel for every position; one for all by an option",
  },
  combined: {
    layer: combinedNet,
    input: cifar,
    heads: ["fc"],
    paper: papers.bouvrie,
    about: "learns which feature maps each map combines",
  },
  maxout: {
    layer: maxoutNetwork,
    input: cifar,
    heads: ["fc2"],
    paper: papers.maxout,
    about: "units that are the maximum of linear pieces, with dropout",
  },
  unpooling_autoencoder: {
    layer: unpoolingAutoencoder,
    input: cifar,
    heads: [],
    paper: papers.autoencoder,
    about: "puts values back where their maxima were",
  },
  transposed_autoencoder: {
    layer: transposedAutoencoder,
    input: cifar,
    heads: [],
    paper: papers.autoencoder,
    about: "enlarges by transposed convolutions",
  },
  matlab_example: {
    layer: matlabExample,
    input: mnist,
    heads: ["4"],
    paper: papers.matlab,
    about: "the example that MATLAB courses begin with",
  },
  matlab_self_made: {
    layer: matlabSelfMade,
    input: mnist,
    heads: ["7"],
    paper: papers.bouvrie,
    about: "two convolutions with mean pools, as one writes it oneself",
  },
  alexnet: {
    ...torchvision,
    layer: alexnet,
    input: imageNet,
    heads: ["classifier.6"],
    paper: papers.oneTower,
    about: "AlexNet in one tower, without normalization",
  },
  alexnet_2012: {
    layer: alexnet2012,
    input: [3, 227, 227],
    heads: ["classifier.6"],
    paper: papers.alexnet,
    about: "AlexNet as published: two groups, response normalization",
  },
  zfnet: {
    layer: zfnet,
    input: imageNet,
    heads: ["classifier.6"],
    paper: papers.zfnet,
    about: "AlexNet with a finer first layer, found by looking at feature maps",
  },
  vgg11: { ...vgg, ...torchvision, layer: vgg11, about: "column A" },
  vgg11_lrn: { ...vgg, layer: vgg11Lrn, about: "column A-LRN: response normalization, which did not help" },
  vgg13: { ...vgg, ...torchvision, layer: vgg13, about: "column B" },
  vgg16_c: { ...vgg, layer: vgg16C, about: "column C: three of the convolutions are 1x1" },
  vgg16: { ...vgg, ...torchvision, layer: vgg16, about: "column D" },
  vgg19: { ...vgg, ...torchvision, layer: vgg19, about: "column E" },
  vgg11_bn: { ...vgg, ...torchvision, layer: vgg11Bn, about: "column A with batch norms" },
  vgg13_bn: { ...vgg, ...torchvision, layer: vgg13Bn, about: "column B with batch norms" },
  vgg16_bn: { ...vgg, ...torchvision, layer: vgg16Bn, about: "column D with batch norms" },
  vgg19_bn: { ...vgg, ...torchvision, layer: vgg19Bn, about: "column E with batch norms" },
  vgg11_bn_cifar: { ...vggCifar, layer: vgg11BnCifar, about: "column A with batch norms and one linear layer" },
  vgg16_bn_cifar: { ...vggCifar, layer: vgg16BnCifar, about: "column D with batch norms and one linear layer" },
  vgg19_bn_cifar: { ...vggCifar, layer: vgg19BnCifar, about: "column E with batch norms and one linear layer" },
  network_in_network: {
    layer: networkInNetwork,
    input: cifar,
    heads: ["20"],
    paper: papers.networkInNetwork,
    about: "1x1 convolutions, and a global mean instead of fully connected layers",
  },
  googlenet: { ...inception, ...torchvision, layer: googlenet, about: "inception modules with batch norms" },
  googlenet_2014: { ...inception, layer: googlenet2014, about: "inception modules as published: biases, true 5x5" },
  resnet18: { ...resnet, ...torchvision, layer: resnet18, about: "eight residual blocks" },
  resnet34: { ...resnet, ...torchvision, layer: resnet34, about: "sixteen residual blocks" },
  resnet50: { ...resnet, ...torchvision, layer: resnet50, about: "bottlenecks; v1.5, and v1 by an option" },
  resnet101: { ...resnet, ...torchvision, layer: resnet101, about: "bottlenecks; v1.5, and v1 by an option" },
  resnet152: { ...resnet, ...torchvision, layer: resnet152, about: "bottlenecks; v1.5, and v1 by an option" },
  resnet18_cifar: { ...resnetCifar, layer: resnet18Cifar, about: "ResNet-18 that begins with a 3x3 convolution" },
  resnet20: { ...resnetCifar, layer: resnet20, about: "three stages of 3 blocks, 16 to 64 channels" },
  resnet32: { ...resnetCifar, layer: resnet32, about: "three stages of 5 blocks, 16 to 64 channels" },
  resnet56: { ...resnetCifar, layer: resnet56, about: "three stages of 9 blocks, 16 to 64 channels" },
  resnet110: { ...resnetCifar, layer: resnet110, about: "three stages of 18 blocks, 16 to 64 channels" },
  speed_net: {
    layer: speedNet,
    input: cifar,
    heads: ["head"],
    paper: papers.speedNet,
    about: "whitening, then three groups of two convolutions: fast to train",
  },
} as const satisfies Readonly<Record<string, ModelEntry>>;

export type ModelName = keyof typeof models;

/** What the network of that name can be told. */
export type ModelOptions<N extends ModelName = ModelName> = NonNullable<Parameters<(typeof models)[N]["layer"]>[0]>;

/** Its forward pass. */
export type ModelForward<N extends ModelName = ModelName> = ReturnType<ReturnType<(typeof models)[N]["layer"]>>;

/** In the order of the table. */
export const modelNames = /* @__PURE__ */ Object.keys(models) as readonly ModelName[];

/** A slip of the pen, not another network. */
const mostEdits = 3;

/** @throws ArgumentError, with the nearest name if one is near, unless there is a network of that name. */
export const expectModelName = (name: string): ModelName => {
  if (Object.hasOwn(models, name)) return name as ModelName;
  const given = name.toLowerCase();
  const nearest = closest(given, modelNames);
  const hint = distance(given, nearest) <= mostEdits ? `did you mean ${nearest}? There` : "there";
  throw new ArgumentError(`there is no network ${JSON.stringify(name)}; ${hint} are ${modelNames.join(", ")}`);
};

/**
 * Build a network by its name.
 *
 * @throws ArgumentError for a name, an option or a seed that is none.
 */
export const createModel = <N extends ModelName>(
  name: N,
  options: ModelOptions<N>,
  context: Context,
): Module<ModelForward<N>> => {
  const { layer } = models[expectModelName(name)];
  // The table ties options and forward pass to the name; by a variable name the types cannot follow it.
  const make = layer as unknown as (options: ModelOptions<N>) => Layer<ModelForward<N>>;
  return build(make(options), context);
};
