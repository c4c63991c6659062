import type { PointwiseAttrs, PointwiseKind } from "@striate/core/backend";
import { sizeOf } from "@striate/core/backend";
import { floatBits, type Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { f32, reads, type Shader, u32, writes } from "../wgsl/shader.js";
import { type GpuKernels, groupsFor } from "./types.js";

const THREADS = 64;

/** Buffers that every device binds at once; scalars that fit into a dispatch's parameters. */
const MAX_BUFFERS = 8;
const MAX_SCALARS = 62;

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

const chainShader = (inputs: number, attrs: PointwiseAttrs): Shader => {
  const name = (index: number | undefined): string =>
    index === undefined ? "" : index < 0 ? `p.s${-1 - index}` : `v${index}`;
  const lines = attrs.steps.map(([kind, a, b], i) => `let v${inputs + i} = ${steps[kind](name(a), name(b))};`);
  const chain = lines.join("\n");
  const bindings = Array.from({ length: inputs }, (_, k) => reads(`x${k}`, "vec4<f32>"));
  return {
    bindings: [...bindings, ...attrs.outputs.map((_, k) => writes(`y${k}`, "vec4<f32>"))],
    params: [...u32("count"), ...f32(...attrs.scalars.map((_, k) => `s${k}`))],
    threads: THREADS,
    declarations: mathFor(chain),
    body: `
let i = group * ${THREADS}u + thread;
if (i >= p.count) { return; }
${bindings.map((_, k) => `let in${k} = x${k}[i];`).join("\n")}
${attrs.outputs.map((_, k) => `var out${k}: vec4f;`).join("\n")}
${["x", "y", "z", "w"]
  .map(
    (lane) => `{
  ${bindings.map((_, k) => `let v${k} = in${k}.${lane};`).join("\n")}
  ${chain}
  ${attrs.outputs.map((index, k) => `out${k}.${lane} = v${index};`).join("\n")}
}`,
  )
  .join("\n")}
${attrs.outputs.map((_, k) => `y${k}[i] = out${k};`).join("\n")}`,
  };
};

export const chainKernels = (stream: Stream): Pick<GpuKernels, "pointwise"> => ({
  pointwise: {
    supports: ({ inputs, outputs, attrs }) =>
      inputs.length + outputs.length <= MAX_BUFFERS && attrs.scalars.length <= MAX_SCALARS,
    run: ({ inputs, outputs, attrs }) => {
      const count = Math.ceil(sizeOf((outputs[0] as (typeof outputs)[number]).shape) / 4);
      stream.dispatch({
        program: {
          label: "pointwise",
          key: `pointwise/${inputs.length}/${attrs.key}`,
          shader: () => chainShader(inputs.length, attrs),
        },
        inputs: inputs.map(({ storage }) => storage),
        outputs: outputs.map(({ storage }) => storage),
        params: [count, ...attrs.scalars.map(floatBits)],
        groups: groupsFor(count, THREADS),
      });
    },
  },
});
