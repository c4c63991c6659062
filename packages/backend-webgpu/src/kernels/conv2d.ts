/** Convolution and its gradients as products of matrices that are never built. */
import type { Call, Conv2dAttrs, Shape } from "@striate/core/backend";
import type { GpuStorage, Stream } from "../stream.js";
import { dispatchGemm, type GemmOperand, isWhole, type SizeTexts } from "./gemm.js";
import type { GpuKernels } from "./types.js";

/** Sizes of a convolution; channels are those of a group, and `sh`, `dh` … the steps of stride and dilation. */
type Geometry = {
  readonly images: number;
  readonly groups: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly height: number;
  readonly width: number;
  readonly kh: number;
  readonly kw: number;
  readonly oh: number;
  readonly ow: number;
  readonly sh: number;
  readonly sw: number;
  readonly dh: number;
  readonly dw: number;
  readonly top: number;
  readonly left: number;
  /** Elements of an input plane, an output plane, a kernel's plane. */
  readonly pixels: number;
  readonly places: number;
  readonly taps: number;
};

type Texts = SizeTexts<keyof Geometry>;

const geometryOf = (x: Shape, w: Shape, y: Shape, { stride, padding, dilation, groups }: Conv2dAttrs): Geometry => {
  const [images, channels, height, width] = x as [number, number, number, number];
  const [outputs, , kh, kw] = w as [number, number, number, number];
  const [oh, ow] = y.slice(-2) as [number, number];
  return {
    images,
    groups,
    inputs: channels / groups,
    outputs: outputs / groups,
    height,
    width,
    kh,
    kw,
    oh,
    ow,
    sh: stride[0],
    sw: stride[1],
    dh: dilation[0],
    dw: dilation[1],
    top: padding[0],
    left: padding[2],
    pixels: height * width,
    places: oh * ow,
    taps: kh * kw,
  };
};

/** Tap `i` as vec4i(channel, r·dilation, s·dilation, 0). */
const tapSource = (s: Texts, i: string): string =>
  `return vec4i(${i} / ${s.taps}, ${i} / ${s.kw} % ${s.kh} * ${s.dh}, ${i} % ${s.kw} * ${s.dw}, 0);`;

/** Placement `i` of the window as vec4i(first element of the image, h, w, 0) in the input. */
const placementSource = (s: Texts, i: string): string => `
let place = ${i} % ${s.places};
return vec4i(
  ${i} / ${s.places} * ${s.groups} * ${s.inputs} * ${s.pixels},
  place / ${s.ow} * ${s.sh} - ${s.top},
  place % ${s.ow} * ${s.sw} - ${s.left},
  0);`;

/** Element of the unfolded image: `placement` and `tap` as above. */
const imageSource = (s: Texts, name: string, placement: string, tap: string): string => `
let h = ${placement}.y + ${tap}.y;
let w = ${placement}.z + ${tap}.z;
if (h < 0 || h >= ${s.height} || w < 0 || w >= ${s.width}) { return 0.0; }
return ${name}[${placement}.x + ${tap}.x * ${s.pixels} + h * ${s.width} + w];`;

/** Rows of a matrix [z, rows, k] in memory order. */
const rowsOf = (name: string, rows: string, k: string): GemmOperand => ({
  along: "k",
  outer: `return vec4i((z * ${rows} + i) * ${k}, 0, 0, 0);`,
  inner: "return vec4i(k, 0, 0, 0);",
  load: `return ${name}[o.x + k.x];`,
});

/** Images of `channels` planes of `plane` elements a group, as columns of a matrix [z, channel, (image, element)]. */
const planesOf = (s: Texts, channels: string, plane: string) => ({
  column: `(n / ${plane} * ${s.groups} + z) * ${channels} * ${plane} + n % ${plane}`,
  rowStride: plane,
});

type Conv2dKernels = Pick<GpuKernels, "conv2d" | "conv2dRelu" | "conv2dGradInput" | "conv2dGradWeight">;

/** y[o, (image, place)] = Σ_(c, r, s) w[o, (c, r, s)] · x(image, c, place + tap) */
const productOf = (g: Geometry) => ({ m: g.outputs, n: g.images * g.places, k: g.inputs * g.taps, batch: g.groups });

const forward = (stream: Stream, op: "conv2d" | "conv2dRelu") => ({
  run: ({ inputs: [x, w, bias], outputs: [y], attrs }: Omit<Call<"conv2d", GpuStorage>, "op">): void => {
    const g = geometryOf(x.shape, w.shape, y.shape, attrs);
    dispatchGemm(stream, {
      op,
      variant: bias ? "bias" : "",
      ...productOf(g),
      sizes: g,
      operands: (s) => ({
        a: rowsOf("a", s.outputs, `(${s.inputs} * ${s.taps})`),
        b: {
          along: "outer",
          outer: `let first = z * ${s.inputs} * ${s.pixels};\n${placementSource(s, "i").replace("return vec4i(", "return vec4i(first + ")}`,
          inner: tapSource(s, "k"),
          load: imageSource(s, "b", "o", "k"),
        },
        ...planesOf(s, s.outputs, s.places),
      }),
      inputs: [w.storage, x.storage, bias?.storage],
      output: y,
      relu: op === "conv2dRelu",
    });
  },
});

export const conv2dKernels = (stream: Stream): Conv2dKernels => ({
  conv2d: forward(stream, "conv2d"),

  conv2dRelu: {
    ...forward(stream, "conv2dRelu"),
    supports: ({ inputs: [x, w], outputs: [y], attrs }) =>
      isWhole(productOf(geometryOf(x.shape, w.shape, y.shape, attrs))),
  },

  // gx[c, (image, pixel)] = Σ_(o, r, s) w[o, (c, r, s)] · gy(image, o, where tap (r, s) takes from the pixel)
  conv2dGradInput: {
    run: ({ inputs: [w, gy], outputs: [gx], attrs }) => {
      const g = geometryOf(gx.shape, w.shape, gy.shape, attrs);
      dispatchGemm(stream, {
        op: "conv2dGradInput",
        variant: "",
        m: g.inputs,
        n: g.images * g.pixels,
        k: g.outputs * g.taps,
        batch: g.groups,
        sizes: g,
        operands: (s) => ({
          // A channel's taps are neighbours, as are an output channel's kernels.
          a: {
            along: "k",
            outer: `return vec4i((z * ${s.outputs} * ${s.inputs} + i) * ${s.taps}, 0, 0, 0);`,
            inner: `return vec4i(k / ${s.taps} * ${s.inputs} * ${s.taps} + k % ${s.taps}, 0, 0, 0);`,
            load: "return a[o.x + k.x];",
          },
          b: {
            along: "outer",
            outer: `
let pixel = i % ${s.pixels};
return vec4i((i / ${s.pixels} * ${s.groups} + z) * ${s.outputs} * ${s.places}, pixel / ${s.width} + ${s.top}, pixel % ${s.width} + ${s.left}, 0);`,
            inner: tapSource(s, "k"),
            load: `
let h = o.y - k.y;
let w = o.z - k.z;
if (h < 0 || w < 0 || h % ${s.sh} != 0 || w % ${s.sw} != 0 || h / ${s.sh} >= ${s.oh} || w / ${s.sw} >= ${s.ow}) { return 0.0; }
return b[o.x + k.x * ${s.places} + h / ${s.sh} * ${s.ow} + w / ${s.sw}];`,
          },
          ...planesOf(s, s.inputs, s.pixels),
        }),
        inputs: [w.storage, gy.storage],
        output: gx,
      });
    },
  },

  // gw[o, (c, r, s)] = Σ_(image, place) gy[o, (image, place)] · x(image, c, place + tap)
  conv2dGradWeight: {
    run: ({ inputs: [x, gy], outputs: [gw], attrs }) => {
      const g = geometryOf(x.shape, gw.shape, gy.shape, attrs);
      dispatchGemm(stream, {
        op: "conv2dGradWeight",
        variant: "",
        m: g.outputs,
        n: g.inputs * g.taps,
        k: g.images * g.places,
        batch: g.groups,
        sizes: g,
        operands: (s) => ({
          a: {
            along: "k",
            outer: `return vec4i((z * ${s.outputs} + i) * ${s.places}, 0, 0, 0);`,
            inner: `return vec4i(k / ${s.places} * ${s.groups} * ${s.outputs} * ${s.places} + k % ${s.places}, 0, 0, 0);`,
            load: "return a[o.x + k.x];",
          },
          b: {
            along: "k",
            outer: tapSource(s, `(i + z * ${s.inputs} * ${s.taps})`),
            inner: placementSource(s, "k"),
            load: imageSource(s, "b", "k", "o"),
          },
          column: `z * ${s.outputs} * ${s.inputs} * ${s.taps} + n`,
          rowStride: `(${s.inputs} * ${s.taps})`,
        }),
        inputs: [gy.storage, x.storage],
        output: gw,
        forUpdate: true,
      });
    },
  },
});
