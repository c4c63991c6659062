import { at, build, forEachIndex, type NdArray, ndarray, offsetOf } from "./ndarray.js";
import { type PairLike, pair, sides, source, type WindowOptions, windowAxes } from "./window.js";

export interface ConvOptions extends WindowOptions {
  readonly groups?: number;
}

/** Cross-correlation. x [N, C, H, W], w [O, C/groups, kh, kw]. */
export const conv2d = (x: NdArray, w: NdArray, bias: NdArray | undefined, options: ConvOptions = {}): NdArray => {
  const [outputs, perGroup, kh, kw] = w.shape as [number, number, number, number];
  const [rows, columns] = windowAxes(x.shape, [kh, kw], options);
  const outputsPerGroup = outputs / (options.groups ?? 1);
  return build([x.shape[0] as number, outputs, rows.count, columns.count], ([n, o, i, j]) => {
    const firstChannel = Math.floor((o as number) / outputsPerGroup) * perGroup;
    let sum = bias === undefined ? 0 : (bias.data[o as number] as number);
    for (let c = 0; c < perGroup; c++)
      for (let u = 0; u < kh; u++)
        for (let v = 0; v < kw; v++) {
          const row = source(rows, i as number, u);
          const column = source(columns, j as number, v);
          if (row !== undefined && column !== undefined)
            sum += at(x, [n as number, firstChannel + c, row, column]) * at(w, [o as number, c, u, v]);
        }
    return sum;
  });
};

export interface ConvTransposeOptions extends ConvOptions {
  readonly outputPadding?: PairLike;
}

/** Every input element paints its kernel onto the output. x [N, C, H, W], w [C, O/groups, kh, kw]. */
export const convTranspose2d = (
  x: NdArray,
  w: NdArray,
  bias: NdArray | undefined,
  { stride = 1, padding = 0, dilation = 1, outputPadding = 0, groups = 1 }: ConvTransposeOptions = {},
): NdArray => {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const [, perGroup, kh, kw] = w.shape as [number, number, number, number];
  const [sy, sx] = pair(stride);
  const [dy, dx] = pair(dilation);
  const [extraRows, extraColumns] = pair(outputPadding);
  const [top, bottom, left, right] = sides(padding);
  const shape = [
    batch,
    perGroup * groups,
    (height - 1) * sy - top - bottom + dy * (kh - 1) + extraRows + 1,
    (width - 1) * sx - left - right + dx * (kw - 1) + extraColumns + 1,
  ] as const;
  const y = build(shape, ([, o]) => (bias === undefined ? 0 : (bias.data[o as number] as number)));
  forEachIndex(x.shape, (index) => {
    const [n, c, i, j] = index as [number, number, number, number];
    const firstOutput = Math.floor(c / (channels / groups)) * perGroup;
    for (let o = 0; o < perGroup; o++)
      for (let u = 0; u < kh; u++)
        for (let v = 0; v < kw; v++) {
          const row = i * sy + u * dy - top;
          const column = j * sx + v * dx - left;
          if (row < 0 || row >= shape[2] || column < 0 || column >= shape[3]) continue;
          const target = offsetOf(shape, [n, firstOutput + o, row, column]);
          y.data[target] = (y.data[target] as number) + at(x, index) * at(w, [c, o, u, v]);
        }
  });
  return y;
};

export interface UnfoldOptions extends WindowOptions {
  readonly kernel: PairLike;
}

/** [N, C, H, W] -> [N, C·kh·kw, windows]. */
export const unfold2d = (x: NdArray, options: UnfoldOptions): NdArray => {
  const [batch, channels] = x.shape as [number, number];
  const [kh, kw] = pair(options.kernel);
  const [rows, columns] = windowAxes(x.shape, options.kernel, options);
  return build([batch, channels * kh * kw, rows.count * columns.count], ([n, tap, window]) => {
    const c = Math.floor((tap as number) / (kh * kw));
    const row = source(rows, Math.floor((window as number) / columns.count), Math.floor((tap as number) / kw) % kh);
    const column = source(columns, (window as number) % columns.count, (tap as number) % kw);
    return row === undefined || column === undefined ? 0 : at(x, [n as number, c, row, column]);
  });
};

export interface FoldOptions extends UnfoldOptions {
  readonly imageSize: PairLike;
}

/** The adjoint of `unfold2d`: overlaps add up. */
export const fold2d = (x: NdArray, options: FoldOptions): NdArray => {
  const [batch, taps] = x.shape as [number, number];
  const [kh, kw] = pair(options.kernel);
  const shape = [batch, taps / (kh * kw), ...pair(options.imageSize)];
  const [rows, columns] = windowAxes(shape, options.kernel, options);
  const y = ndarray(shape);
  forEachIndex(x.shape, (index, position) => {
    const [n, tap, window] = index as [number, number, number];
    const row = source(rows, Math.floor(window / columns.count), Math.floor(tap / kw) % kh);
    const column = source(columns, window % columns.count, tap % kw);
    if (row === undefined || column === undefined) return;
    const target = offsetOf(shape, [n, Math.floor(tap / (kh * kw)), row, column]);
    y.data[target] = (y.data[target] as number) + (x.data[position] as number);
  });
  return y;
};

/** x [N, C, H, W], w [oh, ow, O, C, kh, kw] with weights of its own at every position, bias [O, oh, ow]. */
export const locallyConnected2d = (
  x: NdArray,
  w: NdArray,
  bias: NdArray | undefined,
  options: WindowOptions = {},
): NdArray => {
  const [oh, ow, outputs, channels, kh, kw] = w.shape as [number, number, number, number, number, number];
  const [rows, columns] = windowAxes(x.shape, [kh, kw], options);
  return build([x.shape[0] as number, outputs, oh, ow], ([n, o, i, j]) => {
    let sum = bias === undefined ? 0 : at(bias, [o as number, i as number, j as number]);
    for (let c = 0; c < channels; c++)
      for (let u = 0; u < kh; u++)
        for (let v = 0; v < kw; v++) {
          const row = source(rows, i as number, u);
          const column = source(columns, j as number, v);
          if (row !== undefined && column !== undefined)
            sum += at(x, [n as number, c, row, column]) * at(w, [i as number, j as number, o as number, c, u, v]);
        }
    return sum;
  });
};
