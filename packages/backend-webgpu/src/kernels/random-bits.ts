import { sizeOf } from "@striate/core/backend";
import type { Stream } from "../stream.js";
import { u32, writes } from "../wgsl/shader.js";
import { type GpuKernels, groupsFor } from "./types.js";

// Philox4x32-10 (Salmon et al. 2011). WGSL has no 64-bit product: its upper half is put together from 16-bit halves.
const philox = `
fn upperProduct(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu; let ah = a >> 16u;
  let bl = b & 0xffffu; let bh = b >> 16u;
  let middle = ah * bl + ((al * bl) >> 16u);
  return ah * bh + (middle >> 16u) + (((middle & 0xffffu) + al * bh) >> 16u);
}
fn philox(start: vec4u, seed: vec2u) -> vec4u {
  var c = start;
  var k = seed;
  for (var round = 0; round < 10; round++) {
    c = vec4u(
      upperProduct(0xcd9e8d57u, c.z) ^ c.y ^ k.x,
      0xcd9e8d57u * c.z,
      upperProduct(0xd2511f53u, c.x) ^ c.w ^ k.y,
      0xd2511f53u * c.x,
    );
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}`;

export const randomBitsKernels = (gpu: Stream): Pick<GpuKernels, "randomBits"> => ({
  randomBits: {
    run: ({ outputs: [y], attrs: { seed, stream, offset } }) => {
      const blocks = Math.ceil(sizeOf(y.shape) / 4);
      gpu.dispatch({
        program: {
          label: "randomBits",
          key: "randomBits",
          shader: () => ({
            bindings: [writes("y", "vec4<i32>")],
            params: u32("blocks", "offset", "stream", "low", "high"),
            threads: 64,
            declarations: philox,
            body: `
let i = group * 64u + thread;
if (i >= p.blocks) { return; }
y[i] = vec4<i32>(philox(vec4u(i, p.offset, p.stream, 0u), vec2u(p.low, p.high)) >> vec4u(8u));`,
          }),
        },
        inputs: [],
        outputs: [y.storage],
        params: [blocks, offset, stream, seed % 2 ** 32, Math.floor(seed / 2 ** 32)],
        groups: groupsFor(blocks, 64),
      });
    },
  },
});
