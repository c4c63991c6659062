export { cifar10, cifar10Npm, cifar10Web } from "./cifar10.js";
export type { DataSource, Deliver, SourceContext } from "./manifest.js";
export { fashionMnist, mnist, mnistNpm } from "./mnist.js";
export type { RunNpm } from "./npm.js";
export type { DataProgress, DatasetOptions } from "./options.js";
export { defaultCacheFolder } from "./store.js";
