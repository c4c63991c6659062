import type { PointwiseAttrs, PointwiseKind } from "@striate/core/backend";
import { sizeOf } from "@striate/core/backend";
import type { UpdateSource } from "../merger.js";
import { floatBits, type Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { f32, repeat } from "../wgsl/shader.js";
import type { GpuKernels } from "./types.js";

/** Buffers that every device binds at once; scalars that fit into 256 bytes behind an update's entry: see merger.ts. */
const MAX_BUFFERS = 8;
const MAX_SCALARS = 47;

const steps: { readonly [K in PointwiseKind]: (a: string, b: string) => string } = {
  add: (a, b) => `${a} + ${b}`,
  sub: (a, b) => `${a} - ${b}`,
  mul: (a, b) => `multiply(${a}, ${b})`,
  div: (a, b) => `divide(${a}, ${b})`,
  max: (a, b) => `greater(${a}, ${b})`,
  min: (a, b) => `lesser(${a}, ${b})`,
  neg: (a) => `negate(${a})`,
  square: (a) => `${a} * ${a}`,
  sqrt: (a) => `sqrtOf(${a})`,
};

const chainSource = (inputs: number, attrs: PointwiseAttrs): UpdateSource => {
  const name = (index: number | undefined): string =>
    index === undefined ? "" : index < 0 ? `p.s${-1 - index}` : `v${index}`;
  const chain = attrs.steps
    .map(([kind, a, b], i) => `let v${inputs + i} = ${steps[kind](name(a), name(b))};`)
    .join("\n");
  return {
    params: f32(...attrs.scalars.map((_, k) => `s${k}`)),
    declarations: mathFor(chain),
    body: repeat(4, (l) => {
      const lane = "xyzw"[l];
      return `{
  ${repeat(inputs, (k) => `let v${k} = in${k}.${lane};`)}
  ${chain}
  ${attrs.outputs.map((index, k) => `out${k}.${lane} = v${index};`).join("\n")}
}`;
    }),
  };
};

export const chainKernels = (stream: Stream): Pick<GpuKernels, "pointwise"> => ({
  pointwise: {
    // In float16 every step is rounded, which the steps one by one do.
    supports: ({ inputs, outputs, attrs }) =>
      inputs[0]?.dtype === "float32" &&
      inputs.length + outputs.length <= MAX_BUFFERS &&
      attrs.scalars.length <= MAX_SCALARS,
    run: ({ inputs, outputs, attrs }) => {
      stream.update({
        label: "pointwise",
        key: `pointwise/${inputs.length}/${attrs.key}`,
        inputs: inputs.map(({ storage }) => storage),
        outputs: outputs.map(({ storage }) => storage),
        size: sizeOf((outputs[0] as (typeof outputs)[number]).shape),
        scalars: attrs.scalars.map(floatBits),
        source: () => chainSource(inputs.length, attrs),
      });
    },
  },
});
