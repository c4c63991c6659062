import { type Shape, sizeOf } from "@striate/core/backend";
import type { Bridge, Info, Optional } from "../bridge.js";
import type { Device } from "../device.js";
import type { Primitive } from "../probe.js";
import type { View } from "../storage.js";
import { channelSums } from "./reduce.js";

/** Statistics and coefficients of each channel, [C]. */
interface Affine {
  readonly mean: Info;
  readonly variance: Info;
  readonly scale: Info;
  readonly offset: Info;
}

/** (x - mean) / sqrt(variance + eps) * scale + offset on [N, H, W, C] */
type Normalize = (x: Info, affine: Affine, eps: number) => Info;

const normalizeOf = (device: Device): Primitive<Normalize> => {
  const { run, place } = device;
  const floats = (...values: number[]): Info => place(Float32Array.from(values), [values.length]);
  return {
    op: "batchNorm",
    ways: [
      {
        status: "native",
        kernels: ["FusedBatchNorm"],
        f: (x, { mean, variance, scale, offset }, eps) =>
          run("FusedBatchNorm", { x, mean, variance, scale, offset }, { varianceEpsilon: eps }),
      },
      {
        status: "composed",
        kernels: ["Sub", "Add", "Rsqrt", "Multiply"],
        f: (x, { mean, variance, scale, offset }, eps) => {
          const inverse = run("Rsqrt", { x: run("Add", { a: variance, b: place(Float32Array.of(eps), []) }) });
          const a = run("Multiply", { a: run("Sub", { a: x, b: mean }), b: run("Multiply", { a: inverse, b: scale }) });
          return run("Add", { a, b: offset });
        },
      },
    ],
    probes: [
      {
        code: "tf.batchNorm(tf.tensor4d([1, 10, 3, 20], [1, 1, 2, 2]), [2, 15], [4, 25], [0.5, 1], [2, 3], 0)",
        run: (f) =>
          f(
            place(Float32Array.of(1, 10, 3, 20), [1, 1, 2, 2]),
            { mean: floats(2, 15), variance: floats(4, 25), offset: floats(0.5, 1), scale: floats(2, 3) },
            0,
          ),
        expected: [-0.5, -2, 1.5, 4],
      },
      {
        // Data far from 0: the mean is taken off before anything is scaled.
        code: "tf.batchNorm(tf.tensor4d([10001, 9999], [1, 1, 2, 1]), [10000], [3], [0], [1], 0)",
        run: (f) =>
          f(
            place(Float32Array.of(10001, 9999), [1, 1, 2, 1]),
            { mean: floats(10000), variance: floats(3), offset: floats(0), scale: floats(1) },
            0,
          ),
        expected: [Math.fround(1 / Math.sqrt(3)), Math.fround(-1 / Math.sqrt(3))],
        limit: (y) => Math.abs(y) * 1e-6,
      },
    ],
  };
};

/** [N, C, ...] as [N, C, rest, 1], unless it is an image already. */
const asImage = (x: View): View => {
  if (x.shape.length === 4) return x;
  const [n, c] = x.shape as [number, number];
  return { ...x, shape: [n, c, sizeOf(x.shape.slice(2)), 1] };
};

export const batchNormKernels = async (bridge: Bridge): Promise<Optional<"batchNorm" | "batchNormGrad">> => {
  const { device, layouts, collector, primitives } = bridge;
  const normalize = await collector.optional(normalizeOf(device));
  if (!normalize) return {};
  const { add, sub, mul } = {
    add: primitives.binary.add.float32,
    sub: primitives.binary.sub.float32,
    mul: primitives.binary.mul.float32,
  };
  const filled = (like: Info, value: number): Info =>
    device.place(new Float32Array(like.shape[0] as number).fill(value), like.shape);
  const countOf = (shape: Shape): number => sizeOf(shape) / (shape[1] as number);
  const meanOf = (x: Info, n: number): Info => mul(channelSums(bridge, x), device.place(Float32Array.of(1 / n), []));
  /** x - mean, and x * scale, in one pass with the kernel that all backends do fast. */
  const centre = (x: Info, mean: Info): Info =>
    normalize(x, { mean, variance: filled(mean, 1), scale: filled(mean, 1), offset: filled(mean, 0) }, 0);
  const scaleBy = (x: Info, scale: Info): Info =>
    normalize(x, { mean: filled(scale, 0), variance: filled(scale, 1), scale, offset: filled(scale, 0) }, 0);

  return {
    batchNorm: {
      run: ({ inputs: [input, weight, bias], outputs: [y, mean, variance], attrs: { eps } }) => {
        const x = layouts.image(asImage(input));
        const n = countOf(input.shape);
        const rough = meanOf(x, n);
        // A float32 sum of many numbers far from 0 is off by more than their spread: what is left is taken off again.
        const centred = centre(x, rough);
        const rest = meanOf(centred, n);
        const spread = sub(meanOf(mul(centred, centred), n), mul(rest, rest));
        layouts.put(mean, add(rough, rest));
        layouts.put(variance, spread);
        const affine = { mean: rest, variance: spread, scale: layouts.flat(weight), offset: layouts.flat(bias) };
        layouts.putImage(y, normalize(centred, affine, eps));
      },
    },
    batchNormGrad: {
      run: ({ inputs: [input, w, m, v, gradient], outputs: [gx, gradWeight, gradBias], attrs: { eps } }) => {
        const [x, gy] = [layouts.image(asImage(input)), layouts.image(asImage(gradient))];
        const [weight, mean, variance] = [layouts.flat(w), layouts.flat(m), layouts.flat(v)];
        const perElement = device.place(Float32Array.of(1 / countOf(input.shape)), []);
        const standard = { mean, variance, scale: filled(mean, 1), offset: filled(mean, 0) };
        const normalized = normalize(x, standard, eps);
        const gb = channelSums(bridge, gy);
        const gw = channelSums(bridge, mul(gy, normalized));
        layouts.put(gradBias, gb);
        layouts.put(gradWeight, gw);
        const centred = sub(gy, scaleBy(normalized, mul(gw, perElement)));
        layouts.putImage(
          gx,
          normalize(centred, { mean: mul(gb, perElement), variance, scale: weight, offset: filled(mean, 0) }, eps),
        );
      },
    },
  };
};
