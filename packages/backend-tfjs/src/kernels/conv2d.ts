/**
 * Convolutions on images [N, H, W, C] with tfjs's kernels. What tfjs lacks is made of what it has:
 *
 * - The gradient of the weight is a convolution with the roles exchanged: the input's channels are the batch, the batch
 *   the channels, the output's gradient the weight, and stride and dilation change places.
 * - The gradient of the input is a convolution of the output's gradient, zeros put between its elements, with the weight
 *   turned by 180 degrees.
 */
import type { Conv2dAttrs, Padding2d, Pair, Shape } from "@striate/core/backend";
import type { Bridge, Info, Optional } from "../bridge.js";
import type { Device } from "../device.js";
import type { Primitive, Probe } from "../probe.js";
import type { View } from "../storage.js";
import { crop, spread } from "./movement.js";

/** Above this, a loop over groups costs more than core's decomposition. */
const MAX_GROUPS = 16;

/** x [N, H, W, C], filter [kh, kw, C, O] -> [N, oh, ow, O] */
type Forward = (x: Info, filter: Info, geometry: Geometry) => Info;
/** filter, gy [N, oh, ow, O] -> gx of shape [N, H, W, C] */
type GradInput = (filter: Info, gy: Info, geometry: Geometry, shape: Shape) => Info;
/** x, gy -> [kh, kw, C, O] */
type GradWeight = (x: Info, gy: Info, geometry: Geometry, shape: Shape) => Info;
type WithBias = (x: Info, filter: Info, bias: Info, geometry: Geometry) => Info;

interface Geometry {
  readonly stride: Pair;
  readonly padding: Padding2d;
  readonly dilation: Pair;
}

const padOf = ([top, bottom, left, right]: Padding2d): number[][] => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

const attrsOf = ({ stride, padding, dilation }: Geometry): object => ({
  strides: [...stride],
  pad: padOf(padding),
  dataFormat: "NHWC",
  dilations: [...dilation],
});

const isDilated = ({ dilation }: Geometry): boolean => dilation[0] > 1 || dilation[1] > 1;

// ---- known answers --------------------------------------------------------------------------------------------------

interface Example {
  readonly what: string;
  readonly geometry: Geometry;
}

const examples = (dilated: boolean): readonly Example[] => [
  {
    what: "pad [[0, 0], [0, 0], [0, 0], [0, 0]]",
    geometry: { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1] },
  },
  {
    what: "strides [2, 1], pad [[0, 0], [1, 0], [0, 1], [0, 0]]",
    geometry: { stride: [2, 1], padding: [1, 0, 0, 1], dilation: [1, 1] },
  },
  ...(dilated
    ? [
        {
          what: "dilations [1, 2], pad [[0, 0], [1, 1], [2, 2], [0, 0]]",
          geometry: { stride: [1, 1], padding: [1, 1, 2, 2], dilation: [1, 2] },
        } as const,
      ]
    : []),
];

const xShape = [2, 5, 4, 2] as const;
const filterShape = [3, 2, 2, 3] as const;

/** Small integers: every sum is exact. */
const small = (count: number, step: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => ((i * step) % 7) - 3);

const countOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const outputShape = ({ stride, padding, dilation }: Geometry): readonly [number, number, number, number] => [
  xShape[0],
  Math.floor((xShape[1] + padding[0] + padding[1] - dilation[0] * (filterShape[0] - 1) - 1) / stride[0]) + 1,
  Math.floor((xShape[2] + padding[2] + padding[3] - dilation[1] * (filterShape[1] - 1) - 1) / stride[1]) + 1,
  filterShape[3],
];

/** Adds, for each product of the convolution: its places in x, in the filter and in y. */
const forEachProduct = (geometry: Geometry, visit: (x: number, filter: number, y: number) => void): void => {
  const [n, height, width, channels] = xShape;
  const [kh, kw, , outputs] = filterShape;
  const [, oh, ow] = outputShape(geometry);
  for (let b = 0; b < n; b++)
    for (let oy = 0; oy < oh; oy++)
      for (let ox = 0; ox < ow; ox++)
        for (let ky = 0; ky < kh; ky++)
          for (let kx = 0; kx < kw; kx++) {
            const y = oy * geometry.stride[0] + ky * geometry.dilation[0] - geometry.padding[0];
            const x = ox * geometry.stride[1] + kx * geometry.dilation[1] - geometry.padding[2];
            if (y < 0 || y >= height || x < 0 || x >= width) continue;
            for (let c = 0; c < channels; c++)
              for (let o = 0; o < outputs; o++)
                visit(
                  ((b * height + y) * width + x) * channels + c,
                  ((ky * kw + kx) * channels + c) * outputs + o,
                  ((b * oh + oy) * ow + ox) * outputs + o,
                );
          }
};

const at = (values: Float32Array, i: number): number => values[i] as number;

interface Known {
  readonly x: Float32Array;
  readonly filter: Float32Array;
  readonly gy: Float32Array;
  readonly y: number[];
  readonly gx: number[];
  readonly gw: number[];
}

const knownAnswers = (geometry: Geometry): Known => {
  const [x, filter, gy] = [
    small(countOf(xShape), 5),
    small(countOf(filterShape), 3),
    small(countOf(outputShape(geometry)), 4),
  ];
  const zeros = (count: number): number[] => new Array<number>(count).fill(0);
  const [y, gx, gw] = [zeros(gy.length), zeros(x.length), zeros(filter.length)];
  forEachProduct(geometry, (i, k, o) => {
    y[o] = (y[o] as number) + at(x, i) * at(filter, k);
    gx[i] = (gx[i] as number) + at(gy, o) * at(filter, k);
    gw[k] = (gw[k] as number) + at(gy, o) * at(x, i);
  });
  return { x, filter, gy, y, gx, gw };
};

const probesOf = <F>(
  code: string,
  dilated: boolean,
  run: (f: F, known: Known, geometry: Geometry) => Info,
  expected: (known: Known) => readonly number[],
): readonly Probe<F>[] =>
  examples(dilated).map(({ what, geometry }) => {
    const known = knownAnswers(geometry);
    return {
      code: `${code} of x [${xShape.join(", ")}], filter [${filterShape.join(", ")}], ${what}`,
      run: (f) => run(f, known, geometry),
      expected: expected(known),
    };
  });

// ---- ways -----------------------------------------------------------------------------------------------------------

const forwardOf = (device: Device): Primitive<Forward> => ({
  op: "conv2d",
  ways: [
    {
      status: "native",
      kernels: ["Conv2D"],
      f: (x, filter, geometry) => device.run("Conv2D", { x, filter }, attrsOf(geometry)),
    },
  ],
  probes: probesOf(
    "tf.conv2d",
    true,
    (f, { x, filter }, geometry) =>
      f(device.place(x.slice(), xShape), device.place(filter.slice(), filterShape), geometry),
    ({ y }) => y,
  ),
});

const bias = [5, -7, 9] as const;

const withBiasOf = (device: Device): Primitive<WithBias> => ({
  op: "conv2d.bias",
  ways: [
    {
      status: "native",
      kernels: ["FusedConv2D"],
      f: (x, filter, offset, geometry) =>
        device.run("FusedConv2D", { x, filter, bias: offset }, { ...attrsOf(geometry), activation: "linear" }),
    },
    {
      status: "composed",
      kernels: ["Conv2D", "Add"],
      f: (x, filter, b, geometry) =>
        device.run("Add", { a: device.run("Conv2D", { x, filter }, attrsOf(geometry)), b }),
    },
  ],
  probes: probesOf(
    "tf.fused.conv2d with bias [5, -7, 9]",
    true,
    (f, { x, filter }, geometry) =>
      f(
        device.place(x.slice(), xShape),
        device.place(filter.slice(), filterShape),
        device.place(Float32Array.from(bias), [bias.length]),
        geometry,
      ),
    ({ y }) => y.map((value, i) => value + (bias[i % bias.length] as number)),
  ),
});

/** Padding of the convolution that is the gradient of the input; null where it would have to cut instead. */
const transposedPadding = (
  { stride, padding, dilation }: Geometry,
  kernel: Pair,
  image: Pair,
  output: Pair,
): Padding2d | null => {
  const along = (axis: 0 | 1, before: number): readonly [number, number] => {
    const reach = dilation[axis] * (kernel[axis] - 1);
    const length = (output[axis] - 1) * stride[axis] + 1;
    return [reach - before, image[axis] + reach - length - (reach - before)];
  };
  const [top, bottom] = along(0, padding[0]);
  const [left, right] = along(1, padding[2]);
  return Math.min(top, bottom, left, right) < 0 ? null : [top, bottom, left, right];
};

const gradInputByForward =
  (bridge: Bridge, forward: Forward): GradInput =>
  (filter, gy, geometry, shape) => {
    const { device } = bridge;
    const [kh, kw] = filter.shape as [number, number];
    const [, oh, ow] = gy.shape as [number, number, number];
    const [, height, width] = shape as [number, number, number];
    const padding = transposedPadding(geometry, [kh, kw], [height, width], [oh, ow]);
    if (!padding) throw new Error("the padding is larger than the kernel");
    const apart = spread(bridge, spread(bridge, gy, 1, geometry.stride[0]), 2, geometry.stride[1]);
    const turned = device.run("Reverse", { x: filter }, { dims: [0, 1] });
    const exchanged = device.run("Transpose", { x: turned }, { perm: [0, 1, 3, 2] });
    return forward(apart, exchanged, { stride: [1, 1], padding, dilation: geometry.dilation });
  };

const gradInputOf = (bridge: Bridge, forward: Forward): Primitive<GradInput> => {
  const { device } = bridge;
  return {
    op: "conv2dGradInput",
    passOver: device.hostMemory && !bridge.preferOwn,
    ways: [
      {
        status: "native",
        kernels: ["Conv2DBackpropInput"],
        f: (filter, dy, geometry, shape) =>
          device.run("Conv2DBackpropInput", { dy, filter }, { ...attrsOf(geometry), inputShape: [...shape] }),
      },
      { status: "composed", kernels: ["Conv2D"], f: gradInputByForward(bridge, forward) },
    ],
    probes: probesOf(
      "the gradient of tf.conv2d in x",
      false,
      (f, { filter, gy }, geometry) =>
        f(device.place(filter.slice(), filterShape), device.place(gy.slice(), outputShape(geometry)), geometry, xShape),
      ({ gx }) => gx,
    ),
  };
};

/**
 * The products that one convolution adds up for an element of a weight's gradient, at most: they are added one by one, and
 * the error grows with the length of the chain.
 */
const MAX_CHAIN = 4096;

/** gw as [C, kh, kw, O] from x as [C, H, W, N] and gy as [oh, ow, N, O]. */
const gradWeightByForward = (
  bridge: Bridge,
  forward: Forward,
  x: Info,
  gy: Info,
  { stride, padding, dilation }: Geometry,
  kernel: Pair,
): Info => {
  const [channels, height, width, batch] = x.shape as [number, number, number, number];
  const [oh, ow, , outputs] = gy.shape as [number, number, number, number];
  // Multiples of four suit vector units.
  const images = Math.min(batch, Math.max(4, Math.floor(MAX_CHAIN / (oh * ow) / 4) * 4));
  let sum: Info | undefined;
  for (let first = 0; first < batch; first += images) {
    const n = Math.min(images, batch - first);
    const part = forward(
      crop(bridge, x, [0, 0, 0, first], [channels, height, width, n]),
      crop(bridge, gy, [0, 0, first, 0], [oh, ow, n, outputs]),
      { stride: dilation, padding, dilation: stride },
    );
    const gw = crop(bridge, part, [0, 0, 0, 0], [channels, ...kernel, outputs]);
    sum = sum ? bridge.device.run("Add", { a: sum, b: gw }) : gw;
  }
  return sum as Info;
};

const gradWeightOf = (bridge: Bridge, forward: Forward): Primitive<GradWeight> => {
  const { device } = bridge;
  const transpose = (x: Info, perm: readonly number[]): Info => device.run("Transpose", { x }, { perm: [...perm] });
  return {
    op: "conv2dGradWeight",
    passOver: device.hostMemory && !bridge.preferOwn,
    ways: [
      {
        status: "native",
        kernels: ["Conv2DBackpropFilter"],
        f: (x, dy, geometry, shape) =>
          device.run("Conv2DBackpropFilter", { x, dy }, { ...attrsOf(geometry), filterShape: [...shape] }),
      },
      {
        status: "composed",
        kernels: ["Conv2D"],
        f: (x, gy, geometry, [kh, kw]) => {
          const exchanged = transpose(x, [3, 1, 2, 0]);
          const weight = transpose(gy, [1, 2, 0, 3]);
          const gw = gradWeightByForward(bridge, forward, exchanged, weight, geometry, [kh, kw] as Pair);
          return transpose(gw, [1, 2, 0, 3]);
        },
      },
    ],
    probes: probesOf(
      "the gradient of tf.conv2d in filter",
      false,
      (f, { x, gy }, geometry) =>
        f(device.place(x.slice(), xShape), device.place(gy.slice(), outputShape(geometry)), geometry, filterShape),
      ({ gw }) => gw,
    ),
  };
};

/** What the report calls the gradients of dilated convolutions: tfjs's kernels know no dilation. */
const dilatedRow = (op: string, kernel: string) =>
  ({ op: `${op}.dilated`, dtype: "float32", kernel, status: "composed", reason: { kind: "missing" } }) as const;

// ---- kernels --------------------------------------------------------------------------------------------------------

/** OIHW to HWIO. */
const toFilter = [2, 3, 1, 0] as const;
const fromFilter = [3, 2, 0, 1] as const;

export const conv2dKernels = async (
  bridge: Bridge,
): Promise<Optional<"conv2d" | "conv2dGradInput" | "conv2dGradWeight">> => {
  const { device, layouts, collector } = bridge;
  const forward = await collector.optional(forwardOf(device));
  if (!forward) return {};
  const withBias = await collector.optional(withBiasOf(device));
  const gradInput = await collector.chosen(gradInputOf(bridge, forward));
  /** tfjs's own kernel, where that is right. */
  const ownGradInput = gradInput.row.status === "native" ? gradInput.f : gradInput.own;
  const gradWeight = await collector.optional(gradWeightOf(bridge, forward));
  collector.rows.push(
    dilatedRow("conv2dGradInput", "Conv2DBackpropInput"),
    dilatedRow("conv2dGradWeight", "Conv2DBackpropFilter"),
  );
  const composedGradInput = gradInputByForward(bridge, forward);
  const dilatedGradWeight: GradWeight = gradWeightOf(bridge, forward).ways[1]?.f as GradWeight;

  const filterOf = (w: View): Info => layouts.permuted(w, toFilter);

  /** The channels of group g of an image or, on axis 3, of a filter. */
  const part = (x: Info, axis: number, g: number, groups: number): Info => {
    if (groups === 1) return x;
    const n = (x.shape[axis] as number) / groups;
    return crop(
      bridge,
      x,
      x.shape.map((_, i) => (i === axis ? g * n : 0)),
      x.shape.map((m, i) => (i === axis ? n : m)),
    );
  };

  const joined = (groups: number, f: (g: number) => Info): Info => {
    if (groups === 1) return f(0);
    return device.run(
      "Concat",
      Array.from({ length: groups }, (_, g) => f(g)),
      { axis: 3 },
    );
  };

  /** Which way the gradient of the input goes; undefined where none does. */
  const gradInputFor = (attrs: Conv2dAttrs, w: Shape, gx: Shape, gy: Shape): GradInput | undefined => {
    const [kernel, image, output] = [w, gx, gy].map((shape) => shape.slice(2) as unknown as Pair) as [Pair, Pair, Pair];
    const composed = transposedPadding(attrs, kernel, image, output) ? composedGradInput : undefined;
    if (isDilated(attrs) || !ownGradInput) return composed;
    // With a stride, zeros would be multiplied too.
    const isStrided = attrs.stride[0] * attrs.stride[1] > 1;
    return gradInput.f === ownGradInput || isStrided ? ownGradInput : (composed ?? ownGradInput);
  };

  const fits = ({ groups }: Conv2dAttrs): boolean => groups <= MAX_GROUPS;
  /** tfjs works out the output's size for itself. */
  const takesAllWindows = ({ stride, padding, dilation }: Conv2dAttrs, x: Shape, w: Shape, y: Shape): boolean =>
    ([0, 1] as const).every((axis) => {
      const [n, kernel, m] = [x, w, y].map((shape) => shape[2 + axis]) as [number, number, number];
      const room =
        n + (padding[2 * axis] as number) + (padding[2 * axis + 1] as number) - dilation[axis] * (kernel - 1);
      return Math.floor((room - 1) / stride[axis]) + 1 === m;
    });

  return {
    conv2d: {
      supports: ({ inputs: [x, w], outputs: [y], attrs }) =>
        fits(attrs) && takesAllWindows(attrs, x.shape, w.shape, y.shape),
      run: ({ inputs: [x, w, b], outputs: [y], attrs }) => {
        const [image, filter] = [layouts.image(x), filterOf(w)];
        const { groups } = attrs;
        if (groups === 1 && b && withBias) {
          layouts.putImage(y, withBias(image, filter, layouts.flat(b), attrs));
          return;
        }
        const result = joined(groups, (g) => forward(part(image, 3, g, groups), part(filter, 3, g, groups), attrs));
        layouts.putImage(y, b ? device.run("Add", { a: result, b: layouts.flat(b) }) : result);
      },
    },
    conv2dGradInput: {
      supports: ({ inputs: [w, gy], outputs: [gx], attrs }) =>
        fits(attrs) && gradInputFor(attrs, w.shape, gx.shape, gy.shape) !== undefined,
      run: ({ inputs: [w, gy], outputs: [gx], attrs }) => {
        const { groups } = attrs;
        const f = gradInputFor(attrs, w.shape, gx.shape, gy.shape) as GradInput;
        const [filter, gradient] = [filterOf(w), layouts.image(gy)];
        const [n, channels, height, width] = gx.shape as readonly [number, number, number, number];
        const shape = [n, height, width, channels / groups];
        layouts.putImage(
          gx,
          joined(groups, (g) => f(part(filter, 3, g, groups), part(gradient, 3, g, groups), attrs, shape)),
        );
      },
    },
    ...(gradWeight && {
      conv2dGradWeight: {
        supports: ({ attrs }) => fits(attrs),
        run: ({ inputs: [x, gy], outputs: [gw], attrs }) => {
          const { groups } = attrs;
          const [outputs, channels, kh, kw] = gw.shape as readonly [number, number, number, number];
          const [image, gradient] = [layouts.image(x), layouts.image(gy)];
          const shape = [kh, kw, channels, outputs / groups];
          const f = isDilated(attrs) ? dilatedGradWeight : gradWeight;
          const filter = joined(groups, (g) =>
            f(part(image, 3, g, groups), part(gradient, 3, g, groups), attrs, shape),
          );
          layouts.put(gw, device.run("Transpose", { x: filter }, { perm: [...fromFilter] }));
        },
      },
    }),
  };
};
