export { type AlexNetOptions, alexnet, alexnet2012 } from "./alexnet.js";
export { type AnnOptions, ann } from "./ann.js";
export { type AutoencoderOptions, transposedAutoencoder, unpoolingAutoencoder } from "./autoencoder.js";
export { type CombinedNetOptions, combinationEntropy, combinedNet } from "./combined-net.js";
export { digitBitmapSize, digitBitmaps } from "./digit-bitmaps.js";
export { type Match, parameterGroups, replaceLayer, within } from "./fine-tuning.js";
export { type GoogLeNetOptions, googlenet, googlenet2014, type TorchvisionGoogLeNetOptions } from "./googlenet.js";
export { type Lenet1989Options, lenet1989, lenet1989Connections } from "./lenet-1989.js";
export { type Lenet5Options, lenet5 } from "./lenet5.js";
export {
  type Lenet5Of1998Options,
  lenet5Connections,
  lenet5Features,
  lenet5Normalization,
  lenet5Of1998,
  type MapLossOptions,
  mapLoss,
  rbf,
} from "./lenet5-1998.js";
export { type LocallyConnectedNetOptions, locallyConnectedNet } from "./locally-connected-net.js";
export { type MatlabCnnOptions, type MatlabSelfMadeOptions, matlabExample, matlabSelfMade } from "./matlab-cnn.js";
export { type MaxoutNetworkOptions, maxoutNetwork } from "./maxout.js";
export {
  createModel,
  expectModelName,
  type ModelEntry,
  type ModelForward,
  type ModelName,
  type ModelOptions,
  modelNames,
  models,
} from "./models.js";
export { type NetworkInNetworkOptions, networkInNetwork } from "./network-in-network.js";
export {
  type BottleneckResNetOptions,
  type ResNetCifarOptions,
  type ResNetOptions,
  type ResNetVersion,
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
  type Shortcut,
} from "./resnet.js";
export { type AnyCall, shapeBackend, stateShapes } from "./shape-backend.js";
export { type SpeedNetOptions, speedNet } from "./speed-net.js";
export { formatSummary, type LayerSummary, type Summary, summary } from "./summary.js";
export {
  type VggCifarOptions,
  type VggOptions,
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
export { type ZfNetOptions, zfnet } from "./zfnet.js";
