import { flatten, type Layer, linear, relu, sequential } from "@striate/nn";

export interface AnnOptions {
  /** Values of an image. Default 3 · 32 · 32. */
  readonly inputs?: number;
  /** Default 512. */
  readonly hidden?: number;
  /** Default 10. */
  readonly classes?: number;
}

/** One hidden layer, fully connected, on the pixels: what convolutional networks are compared with. */
export const ann = ({ inputs = 3072, hidden = 512, classes = 10 }: AnnOptions = {}): Layer =>
  sequential([flatten(), linear(inputs, hidden), relu(), linear(hidden, classes)]);
