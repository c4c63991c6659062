import type { Bridge, Info, Required } from "../bridge.js";
import { crop, everyNth, padBy, spread } from "./movement.js";

/** tfjs has no im2col: one slice for each position in the window. */
export const unfold2dKernels = (bridge: Bridge): Required<"unfold2d" | "fold2d"> => {
  const { device, layouts, primitives } = bridge;
  return {
    unfold2d: ({ inputs: [x], outputs: [y], attrs: { window, outputSize } }) => {
      const [n, channels, height, width] = x.shape as readonly [number, number, number, number];
      const [top, bottom, left, right] = window.padding;
      const planes = device.view(layouts.flat(x), [n * channels, height, width]);
      const padded = padBy(bridge, planes, [0, top, left], [0, bottom, right], 0);
      const [oh, ow] = outputSize;
      const taps: Info[] = [];
      for (let ky = 0; ky < window.kernel[0]; ky++) {
        for (let kx = 0; kx < window.kernel[1]; kx++) {
          const begin = [0, ky * window.dilation[0], kx * window.dilation[1]];
          const extent = [n * channels, (oh - 1) * window.stride[0] + 1, (ow - 1) * window.stride[1] + 1];
          const reached = crop(bridge, padded, begin, extent);
          const rows = everyNth(bridge, reached, 1, window.stride[0], oh);
          taps.push(device.view(everyNth(bridge, rows, 2, window.stride[1], ow), [n * channels, 1, oh * ow]));
        }
      }
      layouts.put(y, taps.length === 1 ? (taps[0] as Info) : device.run("Concat", taps, { axis: 1 }));
    },

    fold2d: ({ inputs: [x], outputs: [y], attrs: { window, outputSize } }) => {
      const [n, channels, height, width] = y.shape as readonly [number, number, number, number];
      const [top, bottom, left, right] = window.padding;
      const [oh, ow] = outputSize;
      const [kh, kw] = window.kernel;
      const size = [n * channels, height + top + bottom, width + left + right] as const;
      const columns = device.view(layouts.flat(x), [n * channels, kh * kw, oh * ow]);
      let sum: Info | undefined;
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          const tap = crop(bridge, columns, [0, ky * kw + kx, 0], [n * channels, 1, oh * ow]);
          const rows = spread(bridge, device.view(tap, [n * channels, oh, ow]), 1, window.stride[0]);
          const apart = spread(bridge, rows, 2, window.stride[1]);
          const begin = [0, ky * window.dilation[0], kx * window.dilation[1]] as const;
          const rest = apart.shape.map((m, i) => (size[i] as number) - m - (begin[i] as number));
          const placed = padBy(bridge, apart, begin, rest, 0);
          sum = sum ? primitives.binary.add.float32(sum, placed) : placed;
        }
      }
      layouts.put(y, crop(bridge, sum as Info, [0, top, left], [n * channels, height, width]));
    },
  };
};
