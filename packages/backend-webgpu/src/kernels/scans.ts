/** What walks an axis in order: one thread a line. */
import type { Stream } from "../stream.js";
import { reads, writes } from "../wgsl/shader.js";
import { dispatchLines } from "./lines.js";
import { type GpuKernels, scalarType } from "./types.js";

const beats = {
  argmax: { f32: "isNan(x[i]) || order(x[i]) > order(best)", i32: "x[i] > best" },
  argmin: { f32: "isNan(x[i]) || order(x[i]) < order(best)", i32: "x[i] < best" },
} as const;

export const scanKernels = (stream: Stream): Pick<GpuKernels, "argReduce" | "cumsum"> => ({
  argReduce: ({ inputs: [x], outputs: [y], attrs: { kind, axis } }) => {
    const type = scalarType(x.dtype);
    dispatchLines(stream, {
      op: "argReduce",
      variant: `${kind}/${type}`,
      bindings: [reads("x", type), writes("y", "i32")],
      body: `
var best = x[start];
var at = start;
EACH {
  ${type === "f32" ? "if (isNan(best)) { break; }" : ""}
  if (${beats[kind][type]}) {
    best = x[i];
    at = i;
  }
}
y[line] = i32((at - start) / p.inner);`,
      shape: x.shape,
      axis,
      inputs: [x.storage],
      outputs: [y.storage],
      serial: true,
    });
  },

  cumsum: {
    run: ({ inputs: [x], outputs: [y], attrs: { axis } }) => {
      const type = scalarType(x.dtype);
      const byte = x.dtype === "uint8";
      dispatchLines(stream, {
        op: "cumsum",
        variant: x.dtype,
        bindings: [reads("x", type), writes("y", type)],
        body: `
var sum = ${type}(0);
EACH {
  sum += x[i];
  y[i] = sum${byte ? " & 255" : ""};
}`,
        shape: x.shape,
        axis,
        inputs: [x.storage],
        outputs: [y.storage],
        serial: true,
      });
    },
  },
});
