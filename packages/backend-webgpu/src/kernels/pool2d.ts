import { type AvgPoolAttrs, type PoolAttrs, type Shape, sizeOf } from "@striate/core/backend";
import type { Program, Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { reads, type Shader, writes } from "../wgsl/shader.js";
import { type GpuKernels, groupsFor } from "./types.js";

const THREADS = 64;

type Pool2dKernels = Pick<GpuKernels, "maxPool2d" | "maxPool2dGrad" | "avgPool2d" | "avgPool2dGrad">;

interface Geometry {
  readonly planes: number;
  readonly height: number;
  readonly width: number;
  readonly oh: number;
  readonly ow: number;
  readonly attrs: PoolAttrs;
}

const geometryOf = (image: Shape, output: Shape, attrs: PoolAttrs): Geometry => {
  const [n, c, height, width] = image as [number, number, number, number];
  const [oh, ow] = output.slice(-2) as [number, number];
  return { planes: n * c, height, width, oh, ow, attrs };
};

/** Runs over the window of output `i`, a thread each: `h`, `w` and `at` (within the plane) in the body. */
const overWindow = ({ planes, height, width, oh, ow, attrs }: Geometry, body: string): string => {
  const { kernel, stride, padding, dilation } = attrs;
  return `
let i = i32(group * ${THREADS}u + thread);
if (i >= ${planes * oh * ow}) { return; }
let plane = i / ${oh * ow} * ${height * width};
let top = i % ${oh * ow} / ${ow} * ${stride[0]} - ${padding[0]};
let left = i % ${ow} * ${stride[1]} - ${padding[2]};
for (var r = 0; r < ${kernel[0]}; r++) {
  let h = top + r * ${dilation[0]};
  if (h < 0 || h >= ${height}) { continue; }
  for (var s = 0; s < ${kernel[1]}; s++) {
    let w = left + s * ${dilation[1]};
    if (w < 0 || w >= ${width}) { continue; }
    let at = h * ${width} + w;
    ${body}
  }
}`;
};

/** Runs over the windows that pixel `i` lies in, a thread each: `from` is the output's index. */
const overPlacements = ({ planes, height, width, oh, ow, attrs }: Geometry, body: string): string => {
  const { kernel, stride, padding, dilation } = attrs;
  return `
let i = i32(group * ${THREADS}u + thread);
if (i >= ${planes * height * width}) { return; }
let plane = i / ${height * width} * ${oh * ow};
let at = i % ${height * width};
let h = at / ${width} + ${padding[0]};
let w = at % ${width} + ${padding[2]};
for (var r = ${kernel[0] - 1}; r >= 0; r--) {
  let top = h - r * ${dilation[0]};
  if (top < 0 || top % ${stride[0]} != 0 || top / ${stride[0]} >= ${oh}) { continue; }
  for (var s = ${kernel[1] - 1}; s >= 0; s--) {
    let left = w - s * ${dilation[1]};
    if (left < 0 || left % ${stride[1]} != 0 || left / ${stride[1]} >= ${ow}) { continue; }
    let window = plane + top / ${stride[0]} * ${ow} + left / ${stride[1]};
    ${body}
  }
}`;
};

/** What the average of the window at (`top`, `left`) divides by. */
const divisorSource = ({ height, width, attrs }: Geometry): string => {
  const { kernel, padding, dilation, countIncludePad } = attrs as AvgPoolAttrs;
  const [bottom, right] = countIncludePad ? [height + padding[1], width + padding[3]] : [height, width];
  const along = (name: string, size: number, end: number, step: number): string => `
fn ${name}(start: i32) -> i32 {
  ${countIncludePad ? "" : `let skipped = select((-start + ${step - 1}) / ${step}, 0, start >= 0);`}
  let reached = min(${size}, (${end} - start + ${step - 1}) / ${step});
  return ${countIncludePad ? "reached" : "max(0, reached - skipped)"};
}`;
  return `${along("rows", kernel[0], bottom, dilation[0])}${along("columns", kernel[1], right, dilation[1])}`;
};

const programOf = (op: string, geometry: Geometry, shader: () => Shader): Program => ({
  label: op,
  key: `${op}/${JSON.stringify(geometry)}`,
  shader,
});

export const pool2dKernels = (stream: Stream): Pool2dKernels => ({
  // A window that lies in the padding altogether has no maximum: it gives -Infinity at index -1.
  maxPool2d: {
    run: ({ inputs: [x], outputs: [y, indices], attrs }) => {
      const geometry = geometryOf(x.shape, y.shape, attrs);
      stream.dispatch({
        program: programOf("maxPool2d", geometry, () => ({
          bindings: [reads("x", "f32"), writes("y", "u32"), writes("indices", "i32")],
          threads: THREADS,
          declarations: mathFor("isNan( order("),
          body: `
var best = 0xff800000u;
var chosen = -1;
${overWindow(
  geometry,
  `let v = x[plane + at];
    // A NaN takes the place of a number, and nothing takes its place.
    if (isNan(bitcast<f32>(best))) { continue; }
    if (chosen < 0 || isNan(v) || order(v) > order(bitcast<f32>(best))) {
      best = bitcast<u32>(v);
      chosen = at;
    }`,
)}
y[i] = best;
indices[i] = chosen;`,
        })),
        inputs: [x.storage],
        outputs: [y.storage, indices.storage],
        groups: groupsFor(sizeOf(y.shape), THREADS),
      });
    },
  },

  // Each pixel asks the windows that it lies in.
  maxPool2dGrad: {
    run: ({ inputs: [gy, indices], outputs: [gx], attrs }) => {
      const geometry = geometryOf(gx.shape, gy.shape, attrs);
      stream.dispatch({
        program: programOf("maxPool2dGrad", geometry, () => ({
          bindings: [reads("gy", "f32"), reads("indices", "i32"), writes("gx", "f32")],
          threads: THREADS,
          body: `
var total = 0.0;
${overPlacements(geometry, "if (indices[window] == at) { total += gy[window]; }")}
gx[i] = total;`,
        })),
        inputs: [gy.storage, indices.storage],
        outputs: [gx.storage],
        groups: groupsFor(sizeOf(gx.shape), THREADS),
      });
    },
  },

  // A window without a position to count gives 0.
  avgPool2d: {
    run: ({ inputs: [x], outputs: [y], attrs }) => {
      const geometry = geometryOf(x.shape, y.shape, attrs);
      stream.dispatch({
        program: programOf("avgPool2d", geometry, () => ({
          bindings: [reads("x", "f32"), writes("y", "f32")],
          threads: THREADS,
          declarations: divisorSource(geometry),
          body: `
var total = 0.0;
${overWindow(geometry, "total += x[plane + at];")}
let divisor = rows(top) * columns(left);
y[i] = select(total / f32(divisor), 0.0, divisor == 0);`,
        })),
        inputs: [x.storage],
        outputs: [y.storage],
        groups: groupsFor(sizeOf(y.shape), THREADS),
      });
    },
  },

  avgPool2dGrad: {
    run: ({ inputs: [gy], outputs: [gx], attrs }) => {
      const geometry = geometryOf(gx.shape, gy.shape, attrs);
      const { padding } = attrs;
      stream.dispatch({
        program: programOf("avgPool2dGrad", geometry, () => ({
          bindings: [reads("gy", "f32"), writes("gx", "f32")],
          threads: THREADS,
          declarations: divisorSource(geometry),
          body: `
var total = 0.0;
${overPlacements(geometry, `total += gy[window] / f32(rows(top - ${padding[0]}) * columns(left - ${padding[2]}));`)}
gx[i] = total;`,
        })),
        inputs: [gy.storage],
        outputs: [gx.storage],
        groups: groupsFor(sizeOf(gx.shape), THREADS),
      });
    },
  },
});
