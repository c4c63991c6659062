/** What the calls of one forward pass amount to, by their shapes alone. */
import type { Call, Operand, OpName, Pair, Shape, Storage } from "@striate/core/backend";
import type { AnyCall } from "./shape-backend.js";

/** What a call adds to the layer that makes it. */
export interface Work {
  /** `conv2d 3x3/2`; "" for what is no layer's essence. */
  readonly label: string;
  /** Terms of sums and members of windows. */
  readonly links: number;
  readonly multiplyAdds: number;
}

/** Unit i of a map [extent] sees `field` pixels of the image from i · `step` on, an axis. */
interface Geometry {
  readonly field: Pair;
  readonly step: Pair;
  readonly extent: Pair;
  /** Of `unfold2d`: a matrix product with it is a convolution. */
  readonly columns?: true;
}

export interface Trace {
  /** Makes known that this is the image that receptive fields are measured in. */
  image(operand: Operand): void;
  call(call: AnyCall): Work;
  /** Height and width in pixels; null where windows cannot be followed back to the image. */
  receptiveField(operand: Operand): Pair | null;
}

const both = (of: (axis: 0 | 1) => number): Pair => [of(0), of(1)];

const sizeOf = ({ shape }: { readonly shape: Shape }): number => shape.reduce((a, b) => a * b, 1);

/** The last two axes. */
const mapOf = ({ shape }: { readonly shape: Shape }): Pair => both((i) => shape.at(i - 2) as number);

interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
}

const slide = ({ field, step }: Geometry, { kernel, stride, dilation }: Window, extent: Pair): Geometry => ({
  field: both((i) => field[i] + (kernel[i] - 1) * dilation[i] * step[i]),
  step: both((i) => step[i] * stride[i]),
  extent,
});

/** The steps of a transposed convolution are fractions of pixels. */
const spread = ({ field, step }: Geometry, { kernel, stride, dilation }: Window, extent: Pair): Geometry => ({
  field: both((i) => field[i] + (Math.ceil((dilation[i] * (kernel[i] - 1) + 1) / stride[i]) - 1) * step[i]),
  step: both((i) => step[i] / stride[i]),
  extent,
});

/** All units along the axes named as one. */
const gathered = ({ field, step, extent }: Geometry, along: readonly number[] = [0, 1]): Geometry => ({
  field: both((i) => (along.includes(i) ? field[i] + (extent[i] - 1) * step[i] : field[i])),
  step,
  extent: both((i) => (along.includes(i) ? 1 : extent[i])),
});

const text = ({ kernel, stride }: Window): string => {
  const step = Math.max(...stride) > 1 ? `/${stride[0] === stride[1] ? stride[0] : stride.join("x")}` : "";
  return `${kernel.join("x")}${step}`;
};

/** What is known of an input: its geometry, if any, and its elements that are not 0 by construction. */
interface Known {
  geometry(operand: Operand): Geometry | undefined;
  elements(operand: Operand): number;
}

interface Rule<K extends OpName> {
  label?(call: Call<K>): string;
  links?(call: Call<K>, known: Known): number;
  /** Whether links multiply; pools and sums do not. */
  readonly multiplies?: true;
  /** Of the first output. Without it: the widest of the inputs'. */
  geometry?(call: Call<K>, known: Known): Geometry | undefined;
}

const through = (
  known: Known,
  input: Operand,
  change: (geometry: Geometry) => Geometry | undefined,
): Geometry | undefined => {
  const geometry = known.geometry(input);
  return geometry && change(geometry);
};

const convWindow = ({ inputs, attrs }: Call<"conv2d"> | Call<"conv2dGradInput">, weight: 0 | 1): Window => ({
  ...attrs,
  kernel: mapOf(inputs[weight]),
});

const convText = (call: Call<"conv2d"> | Call<"conv2dGradInput">, weight: 0 | 1): string =>
  `${text(convWindow(call, weight))}${call.attrs.groups > 1 ? `, ${call.attrs.groups} groups` : ""}`;

/** Images and positions. */
const places = ({ shape }: Operand): number => (shape[0] as number) * (shape[2] as number) * (shape[3] as number);

const pool = <K extends "maxPool2d" | "avgPool2d">(): Rule<K> => ({
  label: ({ op, attrs }) => `${op} ${text(attrs)}`,
  links: ({ outputs, attrs }) => sizeOf(outputs[0] as Operand) * attrs.kernel[0] * attrs.kernel[1],
  geometry: ({ inputs, outputs, attrs }, known) =>
    through(known, inputs[0] as Operand, (x) => slide(x, attrs, mapOf(outputs[0] as Operand))),
});

const kindLabel = ({ attrs }: { readonly attrs: { readonly kind: string } }): string => attrs.kind;

const rules: { readonly [K in OpName]?: Rule<K> } = {
  conv2d: {
    label: (call) => `conv2d ${convText(call, 1)}`,
    links: ({ inputs, outputs }, { elements }) => places(outputs[0]) * elements(inputs[1]),
    multiplies: true,
    geometry: (call, known) =>
      through(known, call.inputs[0], (x) => slide(x, convWindow(call, 1), mapOf(call.outputs[0]))),
  },
  conv2dGradInput: {
    label: (call) => `convTranspose2d ${convText(call, 0)}`,
    links: ({ inputs }, { elements }) => places(inputs[1]) * elements(inputs[0]),
    multiplies: true,
    geometry: (call, known) =>
      through(known, call.inputs[1], (x) => spread(x, convWindow(call, 0), mapOf(call.outputs[0]))),
  },
  matmul: {
    label: () => "matmul",
    links: ({ inputs: [{ shape }], outputs, attrs }) =>
      sizeOf(outputs[0]) * (shape[attrs.transposeA ? 1 : 2] as number),
    multiplies: true,
    geometry: ({ inputs }, known) => {
      const widest = widestOf(inputs, known);
      if (!widest?.columns) return widest && gathered(widest);
      const { columns: _, ...map } = widest;
      return map;
    },
  },
  maxPool2d: pool(),
  avgPool2d: pool(),
  reduce: {
    label: kindLabel,
    links: ({ inputs }) => sizeOf(inputs[0]),
    geometry: ({ inputs: [x], attrs }, known) =>
      through(known, x, (geometry) =>
        x.shape.length === 4
          ? gathered(
              geometry,
              attrs.axes.map((axis) => axis - 2),
            )
          : geometry,
      ),
  },
  unfold2d: {
    geometry: ({ inputs, attrs }, known) =>
      through(known, inputs[0], (x) => ({ ...slide(x, attrs.window, attrs.outputSize), columns: true })),
  },
  slice: {
    geometry: ({ inputs: [x], outputs, attrs }, known) =>
      through(known, x, (geometry) => {
        if (x.shape.length !== 4) return geometry;
        const step = both((i) => geometry.step[i] * (attrs.step[2 + i] as number));
        return { ...geometry, step, extent: mapOf(outputs[0]) };
      }),
  },
  unary: { label: kindLabel },
  binary: { label: kindLabel },
  activation: { label: kindLabel },
  batchNormInference: { label: () => "batchNorm" },
  localResponseNorm: { label: ({ attrs }) => `localResponseNorm ${attrs.size}` },
  concat: { label: () => "concat" },
};

/** Of the input with the largest receptive field. */
const widestOf = (inputs: readonly (Operand | undefined)[], known: Known): Geometry | undefined => {
  let widest: Geometry | undefined;
  for (const input of inputs) {
    const geometry = input && known.geometry(input);
    if (geometry && !(widest && widest.field[0] >= geometry.field[0])) widest = geometry;
  }
  return widest;
};

export const createTrace = (): Trace => {
  const geometries = new WeakMap<Storage, Geometry>();
  const scattered = new WeakMap<Storage, number>();
  const known: Known = {
    geometry: ({ storage, shape }) => {
      const geometry = geometries.get(storage);
      // Under the shape of another map it is not the map that was followed.
      return shape.length === 4 && geometry?.extent.some((n, i) => n !== shape[2 + i]) ? undefined : geometry;
    },
    elements: (operand) => scattered.get(operand.storage) ?? sizeOf(operand),
  };
  return {
    image: ({ storage, shape }) => {
      if (shape.length === 4) geometries.set(storage, { field: [1, 1], step: [1, 1], extent: mapOf({ shape }) });
    },
    call: (call) => {
      // The table's entry is for this op, which the types cannot say of a union.
      const rule = rules[call.op] as Rule<OpName> | undefined;
      const any = call as Call<OpName>;
      const inputs = call.inputs as readonly (Operand | undefined)[];
      const outputs = call.outputs as readonly Operand[];
      const geometry = rule?.geometry ? rule.geometry(any, known) : widestOf(inputs, known);
      if (geometry) for (const { storage } of outputs) geometries.set(storage, geometry);
      // The weight of a partial convolution is put together so: what is not scattered into it is no link.
      if (call.op === "scatterAdd") scattered.set(call.outputs[0].storage, sizeOf(call.inputs[2]));
      const links = rule?.links?.(any, known) ?? 0;
      return { label: rule?.label?.(any) ?? "", links, multiplyAdds: rule?.multiplies ? links : 0 };
    },
    receptiveField: (operand) => known.geometry(operand)?.field ?? null,
  };
};
