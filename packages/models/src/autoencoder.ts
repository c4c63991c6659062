/**
 * Convolutional autoencoders: J. Masci et al., "Stacked Convolutional Auto-Encoders for Hierarchical Feature
 * Extraction", ICANN 2011, section 3. Unpooling by switches: M. Zeiler, G. Taylor, R. Fergus, ICCV 2011. Transposed convolutions
 * in its place: V. Dumoulin, F. Visin, arXiv 1603.07285, section 4.
 */
import { ArgumentError, type Tensor } from "@striate/core";
import { conv2d, convTranspose2d, init, type Layer, maxPool2dWithIndices, maxUnpool2d } from "@striate/nn";

export interface AutoencoderOptions {
  /** Default 3. */
  readonly channels?: number;
  /** Maps of each stage of the encoder; each halves height and width, rounded down. Default 16, 32. */
  readonly widths?: readonly number[];
}

/** Initial values for layers before a ReLU (K. He et al., ICCV 2015). */
const inits = {
  weightInit: /* @__PURE__ */ init.kaimingUniform(),
  biasInit: /* @__PURE__ */ init.constant(0),
} as const;

/** What the encoder of a stage leaves to its decoder. */
interface Encoded {
  readonly code: Tensor;
  /** Of each stage, where its maxima were, and the [height, width] that they were in. */
  readonly switches: readonly Switches[];
}

interface Switches {
  readonly indices: Tensor;
  readonly size: readonly [number, number];
}

/** For each stage: conv 3x3, ReLU, max pool 2. Parameters: conv1, conv2 … */
const encoder =
  (channels: number, widths: readonly number[]): Layer<(x: Tensor) => Encoded> =>
  (m) => {
    const stages = widths.map((width, i) => {
      const conv = m.child(`conv${i + 1}`, conv2d(widths[i - 1] ?? channels, width, 3, { padding: 1, ...inits }));
      const pool = m.child(`pool${i + 1}`, maxPool2dWithIndices(2));
      return { conv, pool };
    });
    return (x) => {
      let code = x;
      const switches = stages.map(({ conv, pool }): Switches => {
        const features = conv(code).relu();
        const { y, indices } = pool(features);
        code = y;
        return { indices, size: features.shape.slice(2) as unknown as readonly [number, number] };
      });
      return { code, switches };
    };
  };

/** From the innermost stage outwards: `stage` declares one, whose output has `outputs` maps. The last has no ReLU. */
const decoder =
  (
    channels: number,
    widths: readonly number[],
    stage: (inputs: number, outputs: number) => Layer<(x: Tensor, switches: Switches) => Tensor>,
  ): Layer<(encoded: Encoded) => Tensor> =>
  (m) => {
    const stages = widths.map((width, i) => m.child(`stage${i + 1}`, stage(width, widths[i - 1] ?? channels)));
    return ({ code, switches }) => {
      let y = code;
      for (let i = stages.length - 1; i >= 0; i--) {
        y = (stages[i] as (typeof stages)[number])(y, switches[i] as Switches);
        if (i > 0) y = y.relu();
      }
      return y;
    };
  };

const autoencoder = (
  name: string,
  { channels = 3, widths = [16, 32] }: AutoencoderOptions,
  stage: Parameters<typeof decoder>[2],
): Layer => {
  if (widths.length === 0) throw new ArgumentError(`${name}: widths is empty, expected one stage at least`);
  return (m) => {
    const encode = m.child("encoder", encoder(channels, widths));
    const decode = m.child("decoder", decoder(channels, widths, stage));
    return (x) => decode(encode(x));
  };
};

/**
 * [N, channels, H, W] -> a reconstruction of the same shape, for `mseLoss` with the images. The decoder puts every
 * value back where its maximum was, and fills up by a convolution 3x3: encoder.conv1 …, decoder.stage1.conv …
 *
 * @throws ArgumentError for no widths.
 */
export const unpoolingAutoencoder = (options: AutoencoderOptions = {}): Layer =>
  autoencoder("unpoolingAutoencoder", options, (inputs, outputs) => (m) => {
    const unpool = m.child("unpool", maxUnpool2d(2));
    const conv = m.child("conv", conv2d(inputs, outputs, 3, { padding: 1, ...inits }));
    return (x, { indices, size }) => conv(unpool(x, indices, size));
  });

/**
 * As `unpoolingAutoencoder`, but a transposed convolution 4x4 in steps of 2 enlarges, and nothing but the code goes
 * from the encoder to the decoder: decoder.stage1.conv … Height and width must be multiples of 2 for each stage.
 *
 * @throws ArgumentError for no widths, and in the forward pass for other images.
 */
export const transposedAutoencoder = (options: AutoencoderOptions = {}): Layer =>
  autoencoder("transposedAutoencoder", options, (inputs, outputs) => (m) => {
    const conv = m.child("conv", convTranspose2d(inputs, outputs, 4, { stride: 2, padding: 1, ...inits }));
    return (x, { size }) => {
      if (size.some((n) => n % 2 !== 0))
        throw new ArgumentError(
          `transposedAutoencoder: a map of ${size.join("x")} is pooled, expected height and width to be even`,
        );
      return conv(x);
    };
  });
