/** Per value / 255 over the 60,000 training images of MNIST. */
export const mnistMean: readonly number[] = [0.13066];
export const mnistStd: readonly number[] = [0.30811];

export const mnistClasses: readonly string[] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** Per value / 255 over the 60,000 training images of Fashion-MNIST. */
export const fashionMnistMean: readonly number[] = [0.28604];
export const fashionMnistStd: readonly number[] = [0.35302];

/** Fashion-MNIST: H. Xiao et al., arXiv 1708.07747. */
export const fashionMnistClasses: readonly string[] = [
  "T-shirt/top",
  "trouser",
  "pullover",
  "dress",
  "coat",
  "sandal",
  "shirt",
  "sneaker",
  "bag",
  "ankle boot",
];
