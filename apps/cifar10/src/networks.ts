/** Networks for 3x32x32 images and 10 classes, as layers. */
import { batchNorm2d, conv2d, flatten, gelu, init, type Layer, linear, maxPool2d, relu, sequential } from "@striate/nn";

/** The fully connected half of the comparison: 3072-512-10, 1,578,506 parameters. */
export const ann = (): Layer => sequential([flatten(), linear(3072, 512), relu(), linear(512, 10)]);

/** Initial values for layers before a ReLU (K. He et al., 2015). */
const heInit = { weightInit: init.kaimingUniform(), biasInit: init.constant(0) } as const;

/** LeNet-5 (LeCun et al. 1998) in its modern form for colour: max pooling, ReLU, softmax; 62,006 parameters. */
export const lenet5 = (): Layer =>
  sequential([
    conv2d(3, 6, 5, heInit),
    relu(),
    maxPool2d(2),
    conv2d(6, 16, 5, heInit),
    relu(),
    maxPool2d(2),
    flatten(),
    linear(400, 120, heInit),
    relu(),
    linear(120, 84, heInit),
    relu(),
    linear(84, 10, heInit),
  ]);

/** Widths of the three groups of the speed net. */
export type Widths = readonly [number, number, number];

const diracInit = init.dirac({ rest: init.torchDefault });

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

/**
 * The speed net of K. Jordan, arXiv 2404.00498: a whitening convolution, three groups of two convolutions, logits
 * divided by 9. `filters` [24, 3, 2, 2] are what `whiten.weight` begins with, and should be frozen at.
 */
export const speedNet =
  (widths: Widths, filters: Float32Array): Layer =>
  (m) => {
    const whiten = m.child("whiten", conv2d(3, 24, 2, { weightInit: ({ values }) => values.set(filters) }));
    const activation = m.child("activation", gelu());
    const groups = widths.map((width, i) => m.child(`group${i + 1}`, group(widths[i - 1] ?? 24, width)));
    const head = m.child("head", linear(widths[2], 10, { bias: false }));
    return (x) => {
      let y = activation(whiten(x));
      for (const forward of groups) y = forward(y);
      return head(y.maxPool2d({ kernel: 3 }).flatten(1)).div(9);
    };
  };
