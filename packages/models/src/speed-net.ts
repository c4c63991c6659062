/** K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498, section 3. */
import { ArgumentError } from "@striate/core";
import { batchNorm2d, conv2d, gelu, type Initialiser, init, type Layer, linear } from "@striate/nn";

const whitening = { channels: 24, kernel: 2, values: 24 * 3 * 2 * 2 } as const;

export interface SpeedNetOptions {
  /** Channels of the three groups. Default 64, 256, 256: the paper's for 94 %. */
  readonly widths?: readonly [number, number, number];
  /**
   * [24, 3, 2, 2], what `whiten.weight` begins with and should be frozen at: filters that whiten 2x2 patches of the training
   * images, and their negatives. Without them the layer begins as any convolution.
   */
  readonly filters?: Float32Array;
  /** Default 10. */
  readonly classes?: number;
}

const diracInit = /* @__PURE__ */ init.dirac({ rest: init.torchDefault });

/** A batch norm that is only shifted, never scaled; its statistics move fast. */
const norm = (width: number): Layer => batchNorm2d(width, { affine: "bias", eps: 1e-12, momentum: 0.4 });

const group =
  (inChannels: number, width: number): Layer =>
  (m) => {
    const same = { padding: 1, bias: false, weightInit: diracInit } as const;
    const conv1 = m.child("conv1", conv2d(inChannels, width, 3, same));
    const norm1 = m.child("norm1", norm(width));
    const conv2 = m.child("conv2", conv2d(width, width, 3, same));
    const norm2 = m.child("norm2", norm(width));
    const activation = m.child("activation", gelu());
    return (x) => activation(norm2(conv2(activation(norm1(conv1(x).maxPool2d({ kernel: 2 }))))));
  };

const given =
  (filters: Float32Array): Initialiser =>
  ({ values }) =>
    values.set(filters);

/**
 * For [N, 3, 32, 32]: a whitening convolution, three groups of two convolutions, logits divided by 9.
 *
 * @throws ArgumentError unless there are 288 filter values.
 */
export const speedNet = ({ widths = [64, 256, 256], filters, classes = 10 }: SpeedNetOptions = {}): Layer => {
  if (filters && filters.length !== whitening.values)
    throw new ArgumentError(`speedNet: filters has ${filters.length} values, expected [24, 3, 2, 2]`);
  return (m) => {
    const weightInit = filters ? given(filters) : init.torchDefault;
    const whiten = m.child("whiten", conv2d(3, whitening.channels, whitening.kernel, { weightInit }));
    const activation = m.child("activation", gelu());
    const groups = widths.map((width, i) =>
      m.child(`group${i + 1}`, group(widths[i - 1] ?? whitening.channels, width)),
    );
    const head = m.child("head", linear(widths[2], classes, { bias: false }));
    return (x) => {
      let y = activation(whiten(x));
      for (const forward of groups) y = forward(y);
      return head(y.maxPool2d({ kernel: 3 }).flatten(1)).div(9);
    };
  };
};
