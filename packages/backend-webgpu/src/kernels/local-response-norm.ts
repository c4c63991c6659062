import { around, sizeOf } from "@striate/core/backend";
import { floatBits, type Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { f32, i32, reads, u32, writes } from "../wgsl/shader.js";
import { type GpuKernels, groupsFor } from "./types.js";

export const localResponseNormKernels = (stream: Stream): Pick<GpuKernels, "localResponseNorm"> => ({
  // The window of channel c runs from c - floor(size/2) to c + floor((size-1)/2), as PyTorch's.
  localResponseNorm: {
    run: ({ inputs: [x], outputs: [y], attrs: { size, alpha, beta, k } }) => {
      const { extent: channels, inner } = around(x.shape, 1);
      const count = sizeOf(x.shape);
      stream.dispatch({
        program: {
          label: "localResponseNorm",
          key: "localResponseNorm",
          shader: () => ({
            bindings: [reads("x", "f32"), writes("y", "f32")],
            params: [...u32("count"), ...i32("channels", "inner", "before", "after"), ...f32("alpha", "beta", "k")],
            threads: 64,
            declarations: mathFor("divide( powOf("),
            body: `
let at = group * 64u + thread;
if (at >= p.count) { return; }
let i = i32(at);
let c = i / p.inner % p.channels;
var squares = 0.0;
for (var other = max(c - p.before, 0); other <= min(c + p.after, p.channels - 1); other++) {
  let v = x[i + (other - c) * p.inner];
  squares += v * v;
}
y[i] = divide(x[i], powOf(p.k + p.alpha * squares, p.beta));`,
          }),
        },
        inputs: [x.storage],
        outputs: [y.storage],
        params: [
          count,
          channels,
          inner,
          Math.floor(size / 2),
          Math.floor((size - 1) / 2),
          floatBits(alpha),
          floatBits(beta),
          floatBits(k),
        ],
        groups: groupsFor(count, 64),
      });
    },
  },
});
