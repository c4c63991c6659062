import { type Call, type Conv2dAttrs, type Shape, sizeOf } from "@striate/core/backend";
import type { Runtime } from "../runtime.js";
import type { WasmKernels, WasmStorage } from "../storage.js";
import { type GradWeightPlan, planGradWeight, runGradWeight } from "./conv-grad-weight.js";
import { type GatherConvPlan, planGatherConv, runGatherConv } from "./gather-conv.js";
import { type Planes, planesOf } from "./planes.js";
import type { Epilogue, Tile } from "./tile.js";
import { type Conv3x3, planWinograd, runWinograd, type WinogradPlan, winogradPays } from "./winograd.js";
import { planWinogradGradWeight, runWinogradGradWeight, type WinogradGradWeightPlan } from "./winograd-grad-weight.js";

type Quad = readonly [number, number, number, number];

/** Sizes of a convolution: x [n, groups · channels, h, w], w [groups · outputs, channels, kh, kw], y [n, …, oh, ow]. */
interface Sizes {
  readonly images: number;
  readonly groups: number;
  readonly channels: number;
  readonly outputs: number;
  readonly image: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly output: readonly [number, number];
}

const sizesOf = (x: Shape, w: Shape, y: Shape, groups: number): Sizes => {
  const [images, , height, width] = x as Quad;
  const [allOutputs, channels, kh, kw] = w as Quad;
  return {
    images,
    groups,
    channels,
    outputs: allOutputs / groups,
    image: [height, width],
    kernel: [kh, kw],
    output: [y[2] as number, y[3] as number],
  };
};

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The image as forward and weight gradient see it, and where each tap falls. */
const forwardPlanes = (
  { image, kernel, output }: Sizes,
  { stride, padding, dilation }: Conv2dAttrs,
): { planes: Planes; taps: [number, number][] } => ({
  planes: planesOf({
    height: image[0],
    width: image[1],
    rows: (output[0] - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1,
    columns: (output[1] - 1) * stride[1] + (kernel[1] - 1) * dilation[1] + 1,
    top: padding[0],
    left: padding[2],
    stride: stride[1],
  }),
  taps: range(kernel[0]).flatMap((ky) =>
    range(kernel[1]).map((kx): [number, number] => [ky * dilation[0], kx * dilation[1]]),
  ),
});

/** Which of the two ways a convolution goes. */
type ConvPlan =
  | { readonly kind: "winograd"; readonly plan: WinogradPlan }
  | { readonly kind: "gather"; readonly plan: GatherConvPlan };

const run = (runtime: Runtime, { kind, plan }: ConvPlan, addresses: Parameters<typeof runGatherConv>[2]): void =>
  kind === "winograd" ? runWinograd(runtime, plan, addresses) : runGatherConv(runtime, plan, addresses);

/** Geometry that Winograd's filtering takes. */
const isPlain3x3 = ({ kernel, groups }: Sizes, { stride, dilation }: Conv2dAttrs): boolean =>
  groups === 1 && [...kernel, ...stride, ...dilation].join() === "3,3,1,1,1,1";

/** As forward and weight gradient see it. */
const conv3x3Of = ({ images, channels, outputs, image, output }: Sizes, { padding }: Conv2dAttrs): Conv3x3 => ({
  images,
  channels,
  height: image[0],
  width: image[1],
  top: padding[0],
  left: padding[2],
  outputs,
  rows: output[0],
  columns: output[1],
});

const planForward = (tile: Tile, key: string, sizes: Sizes, attrs: Conv2dAttrs, epilogue: Epilogue): ConvPlan => {
  const { images, groups, channels, outputs, kernel, output } = sizes;
  if (isPlain3x3(sizes, attrs) && winogradPays(channels, outputs, output[1])) {
    const plan = planWinograd(tile, `conv2d winograd ${key}`, {
      ...conv3x3Of(sizes, attrs),
      ...epilogue,
      weights: { outputStep: channels * 9, channelStep: 9, turned: false },
    });
    return { kind: "winograd", plan };
  }
  const { planes, taps } = forwardPlanes(sizes, attrs);
  const k = channels * kernel[0] * kernel[1];
  const plan = planGatherConv(tile, `conv2d ${key}`, {
    images,
    groups,
    channels,
    planes,
    rowStride: attrs.stride[0],
    taps,
    outputs,
    grid: {
      rows: output[0],
      columns: output[1],
      plane: output[0] * output[1],
      offset: 0,
      rowStep: output[1],
      columnStep: 1,
    },
    weights: { indices: outputs, iStep: k, extents: [k], steps: [1], offset: 0 },
    weightsStep: outputs * k,
    ...epilogue,
  });
  return { kind: "gather", plan };
};

/** Taps along one axis that reach the inputs phase, phase + stride, …, and the output that each meets at the first. */
const tapsOfPhase = (
  phase: number,
  kernel: number,
  stride: number,
  dilation: number,
  before: number,
): { tap: number; output: number }[] =>
  range(kernel)
    .filter((tap) => (phase + before - tap * dilation) % stride === 0)
    .map((tap) => ({ tap, output: (phase + before - tap * dilation) / stride }));

/**
 * The input gradient by phases: the inputs at a fixed remainder modulo the stride are a convolution of stride 1 of the
 * output gradient, with those taps alone that ever reach them. At stride 1 there is one phase: all taps, turned round.
 */
const planGradInput = (tile: Tile, key: string, sizes: Sizes, attrs: Conv2dAttrs): ConvPlan[] => {
  const { images, groups, channels, outputs, image, kernel, output } = sizes;
  const { stride, padding, dilation } = attrs;
  if (isPlain3x3(sizes, attrs) && winogradPays(channels, outputs, image[1])) {
    const plan = planWinograd(tile, `conv2dGradInput winograd ${key}`, {
      images,
      channels: outputs,
      height: output[0],
      width: output[1],
      top: 2 - padding[0],
      left: 2 - padding[2],
      outputs: channels,
      rows: image[0],
      columns: image[1],
      ...noEpilogue,
      weights: { outputStep: 9, channelStep: channels * 9, turned: true },
    });
    return [{ kind: "winograd", plan }];
  }
  return range(stride[0]).flatMap((py) =>
    range(stride[1]).flatMap((px): ConvPlan[] => {
      const rows = Math.ceil((image[0] - py) / stride[0]);
      const columns = Math.ceil((image[1] - px) / stride[1]);
      const ys = tapsOfPhase(py, kernel[0], stride[0], dilation[0], padding[0]);
      const xs = tapsOfPhase(px, kernel[1], stride[1], dilation[1], padding[2]);
      const [firstY, firstX] = [ys[0], xs[0]];
      if (rows <= 0 || columns <= 0 || !firstY || !firstX) return [];
      // Taps go up, outputs down: the last tap meets the lowest output.
      const lowestY = (ys.at(-1) as typeof firstY).output;
      const lowestX = (xs.at(-1) as typeof firstX).output;
      const planes = planesOf({
        height: output[0],
        width: output[1],
        rows: rows + firstY.output - lowestY,
        columns: columns + firstX.output - lowestX,
        top: -lowestY,
        left: -lowestX,
        stride: 1,
      });
      const window = kernel[0] * kernel[1];
      const stepOf = (taps: typeof ys): number => (taps[1] ? taps[1].tap - (taps[0] as typeof firstY).tap : 0);
      const plan = planGatherConv(tile, `conv2dGradInput ${key} ${py},${px}`, {
        images,
        groups,
        channels: outputs,
        planes,
        rowStride: 1,
        taps: ys.flatMap((y) => xs.map((x) => [y.output - lowestY, x.output - lowestX] as const)),
        outputs: channels,
        grid: {
          rows,
          columns,
          plane: image[0] * image[1],
          offset: py * image[1] + px,
          rowStep: stride[0] * image[1],
          columnStep: stride[1],
        },
        weights: {
          indices: channels,
          iStep: window,
          extents: [outputs, ys.length, xs.length],
          steps: [channels * window, stepOf(ys) * kernel[1], stepOf(xs)],
          offset: firstY.tap * kernel[1] + firstX.tap,
        },
        weightsStep: outputs * channels * window,
        ...noEpilogue,
      });
      return [{ kind: "gather", plan }];
    }),
  );
};

type WeightPlan =
  | { readonly kind: "winograd"; readonly plan: WinogradGradWeightPlan }
  | { readonly kind: "direct"; readonly plan: GradWeightPlan };

const planGradWeightOf = (key: string, sizes: Sizes, attrs: Conv2dAttrs): WeightPlan => {
  const { images, groups, channels, outputs, output } = sizes;
  const [rows, columns] = output;
  if (isPlain3x3(sizes, attrs) && winogradPays(channels, outputs, columns)) {
    const plan = planWinogradGradWeight(`conv2dGradWeight winograd ${key}`, conv3x3Of(sizes, attrs));
    return { kind: "winograd", plan };
  }
  const plan = planGradWeight(`conv2dGradWeight ${key}`, {
    images,
    groups,
    channels,
    ...forwardPlanes(sizes, attrs),
    rowStride: attrs.stride[0],
    outputs,
    rows,
    columns,
  });
  return { kind: "direct", plan };
};

const noEpilogue: Epilogue = { bias: false, relu: false };

/** Plans by key: a network asks for the same ones at every step. */
const memoize = <T>(make: (key: string, sizes: Sizes, attrs: Conv2dAttrs) => T) => {
  const plans = new Map<string, T>();
  return (x: Shape, w: Shape, y: Shape, attrs: Conv2dAttrs): T => {
    const { stride, padding, dilation, groups } = attrs;
    const key = `${x},${w},${y[2]},${y[3]},${stride},${padding},${dilation},${groups}`;
    let plan = plans.get(key);
    if (plan === undefined) {
      if (plans.size >= MAX_PLANS) plans.clear();
      plan = make(key, sizesOf(x, w, y, groups), attrs);
      plans.set(key, plan);
    }
    return plan;
  };
};

const MAX_PLANS = 1024;

export const conv2dKernels = (
  runtime: Runtime,
): Pick<WasmKernels, "conv2d" | "conv2dRelu" | "conv2dGradInput" | "conv2dGradWeight"> => {
  const { tile } = runtime;
  const forward = (relu: boolean): { run(call: Omit<Call<"conv2d", WasmStorage>, "op">): void } => {
    const planOf = (bias: boolean) =>
      memoize((key, sizes, attrs) =>
        planForward(tile, `${key}${bias ? " bias" : ""}${relu ? " relu" : ""}`, sizes, attrs, { bias, relu }),
      );
    const [plain, biased] = [planOf(false), planOf(true)];
    return {
      run: ({ inputs: [x, w, bias], outputs: [y], attrs }) =>
        run(runtime, (bias ? biased : plain)(x.shape, w.shape, y.shape, attrs), {
          source: x.storage.address,
          weights: w.storage.address,
          bias: bias?.storage.address ?? 0,
          output: y.storage.address,
        }),
    };
  };
  const gradInput = memoize((key, sizes, attrs) => planGradInput(tile, key, sizes, attrs));
  const gradWeight = memoize(planGradWeightOf);
  return {
    conv2d: forward(false),
    conv2dRelu: forward(true),
    conv2dGradInput: {
      run: ({ inputs: [w, gy], outputs: [gx], attrs }) => {
        const phases = gradInput(gx.shape, w.shape, gy.shape, attrs);
        const { stride } = attrs;
        const { address } = gx.storage;
        // Inputs that no window reaches belong to no phase.
        if (phases.length < stride[0] * stride[1]) new Float32Array(runtime.buffer, address, sizeOf(gx.shape)).fill(0);
        for (const phase of phases)
          run(runtime, phase, {
            source: gy.storage.address,
            weights: w.storage.address,
            bias: 0,
            output: address,
          });
      },
    },
    conv2dGradWeight: {
      run: ({ inputs: [x, gy], outputs: [gw], attrs }) => {
        const { kind, plan } = gradWeight(x.shape, gw.shape, gy.shape, attrs);
        const addresses = { x: x.storage.address, gy: gy.storage.address, output: gw.storage.address };
        if (kind === "winograd") runWinogradGradWeight(runtime, plan, addresses);
        else runGradWeight(runtime, plan, addresses);
      },
    },
  };
};
