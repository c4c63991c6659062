import type { AvgPoolAttrs, PoolAttrs, Shape } from "@striate/core/backend";
import { type Expr, type F32, f32, f32x4, i32, i32x4, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import {
  clipLater,
  type Element,
  forWindowColumns,
  forWindowRows,
  forWindows,
  oneByOne,
  type Place,
  poolWindows,
  type Windows,
} from "./pool-windows.js";
import { fillRow, forUnits, splitUnits } from "./rows.js";

const planesOf = (shape: Shape): number => (shape[0] as number) * (shape[1] as number);
const imageOf = ({ rows, columns }: Windows): number => rows.size * columns.size;
const outputsOf = ({ rows, columns }: Windows): number => rows.outputs * columns.outputs;
const areaOf = ({ rows, columns }: Windows): number => rows.kernel * columns.kernel;

/** Names all there is to know of windows, but for the number of planes. */
const keyOf = ({ rows, columns }: Windows): string =>
  [rows, columns]
    .map((axis) => [axis.size, axis.outputs, axis.kernel, axis.stride, axis.dilation, axis.before, axis.after])
    .join(":");

/** A program whose units are planes: an image, and as many planes of outputs as there are addresses after its own. */
const planewise = (
  windows: Windows,
  outputs: 1 | 2,
  build: (b: FunctionBody, scratch: Local<"i32">, image: Local<"i32">, ...outputs: readonly Local<"i32">[]) => void,
): FunctionDefinition => {
  const params: readonly "i32"[] = new Array<"i32">(5 + outputs).fill("i32");
  return defineFunction({
    name: "pool",
    params,
    build: (b, ...args) => {
      const [task, scratch, chunk, count, ...planes] = args as [Local<"i32">, Local<"i32">, Local<"i32">, Local<"i32">];
      const sizes = [imageOf(windows), outputsOf(windows), outputsOf(windows)];
      forUnits(b, task, chunk, count, (unit) => {
        const [image, ...rest] = (planes as Local<"i32">[]).map((base, k) =>
          b.let(i32.add(base, i32.mul(unit, 4 * (sizes[k] as number)))),
        );
        build(b, scratch, image as Local<"i32">, ...rest);
      });
    },
  });
};

const run = (
  runtime: Runtime,
  name: string,
  windows: Windows,
  planes: number,
  addresses: readonly number[],
  build: () => FunctionDefinition,
  scratchBytes = 0,
): void => {
  const { tasks, chunk } = splitUnits(planes, imageOf(windows) + outputsOf(windows) * areaOf(windows));
  runtime.run(`${name}:${keyOf(windows)}`, build, tasks, [chunk, planes, ...addresses], scratchBytes);
};

/** Stores as many lanes as a place has windows. */
const storePlace = (b: FunctionBody, place: Place, plane: Local<"i32">, value: Local<"v128">): void => {
  const to = i32.add(plane, place.output);
  const { lanes, outputOffset } = place;
  b.do(lanes === 4 ? v128.store(to, value, outputOffset) : v128.store32Lane(to, value, 0, outputOffset));
};

interface Maximum {
  readonly best: Local<"v128">;
  readonly at: Local<"v128">;
}

/** Position in the plane of the first element of each window of a place. */
const firstPosition = (b: FunctionBody, { columns }: Windows, place: Place): Local<"v128"> => {
  const { from } = place.columns;
  const column = typeof from === "number" ? i32.const(from * columns.dilation) : i32.mul(from, columns.dilation);
  const first = b.let(i32x4.splat(i32.add(place.position(), column)));
  if (place.lanes === 4) {
    const lanes = [1, 2, 3].reduce((v, i) => i32x4.replaceLane(v, i, i32.const(i * columns.stride)), i32x4.splat(0));
    b.set(first, i32x4.add(first, lanes));
  }
  return first;
};

/** Calls `visit` with each element under a place, in row-major order, and its position in the plane. */
const forCandidates = (
  b: FunctionBody,
  windows: Windows,
  place: Place,
  start: Local<"v128">,
  visit: (element: Element, position: Local<"v128">) => void,
): void => {
  const { rows, columns } = windows;
  const row = b.let(start);
  const candidate = b.let(start);
  forWindowRows(
    b,
    windows,
    place,
    (pointer, offset, first) => {
      b.set(candidate, row);
      forWindowColumns(
        b,
        windows,
        place,
        pointer,
        offset,
        first,
        (element) => visit(element, candidate),
        () => b.set(candidate, i32x4.add(candidate, i32x4.splat(columns.dilation))),
      );
    },
    () => b.set(row, i32x4.add(row, i32x4.splat(rows.dilation * columns.size))),
  );
};

/** `maximum` where there may be NaN: the first of them. In loops, since it is rarely run. */
const maximumOrNaN = (b: FunctionBody, windows: Windows, place: Place, start: Local<"v128">, { best, at }: Maximum) => {
  const later = (value: number | Local<"i32">): Local<"i32"> =>
    typeof value === "number" ? b.let(i32.const(value)) : value;
  const { rows, columns } = place;
  const looped = { ...place, rows: later(rows), columns: { from: later(columns.from), to: later(columns.to) } };
  b.set(best, f32x4.const(Number.NEGATIVE_INFINITY));
  b.set(at, start);
  forCandidates(b, windows, looped, start, (element, position) => {
    const value = b.let(element.value());
    // What is less or equal is no better, and nothing is better than a NaN.
    const keep = b.let(v128.or(f32x4.le(value, best), f32x4.ne(best, best)));
    b.set(best, v128.bitselect(best, value, keep));
    b.set(at, v128.bitselect(at, position, keep));
  });
};

/**
 * The maximum under a place, and its position: the first in row-major order. In vectors throughout, since to choose
 * between scalars means a jump that no processor foresees.
 */
const maximum = (b: FunctionBody, windows: Windows, place: Place): Maximum => {
  const start = firstPosition(b, windows, place);
  const at = b.let(start);
  const best = b.let(f32x4.const(Number.NEGATIVE_INFINITY));
  // A sum is NaN where a term is; where it is for another reason, the longer way comes to the same.
  const sum = b.let(f32x4.const(0));
  forCandidates(b, windows, place, start, (element, position) => {
    const value = b.let(element.value());
    if (element.first) {
      b.set(best, value);
      b.set(sum, value);
      return;
    }
    // Positions only grow.
    b.set(at, i32x4.maxS(at, v128.and(position, f32x4.lt(best, value))));
    b.set(best, f32x4.pmax(best, value));
    b.set(sum, f32x4.add(sum, value));
  });
  b.if(v128.anyTrue(f32x4.ne(sum, sum)), () => maximumOrNaN(b, windows, place, start, { best, at }));
  return { best, at };
};

const maxPool = (windows: Windows): FunctionDefinition =>
  planewise(windows, 2, (b, _scratch, image, y, indices) =>
    forWindows(b, windows, image, true, (place) => {
      const { best, at } = maximum(b, windows, place);
      storePlace(b, place, y as Local<"i32">, best);
      storePlace(b, place, indices as Local<"i32">, at);
    }),
  );

const fillWithZeros = (b: FunctionBody, plane: Local<"i32">, count: number): void =>
  fillRow(b, 4, b.let(i32x4.splat(0)), plane, count);

/** Scatters each plane's gradients, in order. */
const maxPoolGrad = (windows: Windows): FunctionDefinition =>
  planewise(windows, 2, (b, _scratch, image, gradients, indices) => {
    fillWithZeros(b, image, imageOf(windows));
    const [g, i] = [gradients as Local<"i32">, indices as Local<"i32">];
    const count = outputsOf(windows);
    const scatter = (offset: number): void => {
      const pixel = b.let(i32.add(image, i32.shl(i32.load(i, offset), 2)));
      b.do(f32.store(pixel, f32.add(f32.load(pixel), f32.load(g, offset))));
    };
    const unrolled = 4;
    if (count >= unrolled)
      b.for(
        0,
        Math.floor(count / unrolled),
        1,
        () => {
          for (let k = 0; k < unrolled; k++) scatter(4 * k);
          b.increment(g, 4 * unrolled);
          b.increment(i, 4 * unrolled);
        },
        { atLeastOnce: true },
      );
    for (let k = 0; k < count % unrolled; k++) scatter(4 * k);
  });

/** Windows so wide that a single one is worth vectors along its rows. */
const isWide = ({ columns }: Windows): boolean => columns.kernel >= 8 && columns.dilation === 1;

/** One window that covers the whole plane is one row: global pooling. */
const joinRows = (windows: Windows): Windows => {
  const { rows, columns } = windows;
  const covers = [rows, columns].every(
    ({ size, outputs, kernel, dilation, before, after }) =>
      outputs === 1 && kernel === size && dilation === 1 && before + after === 0,
  );
  if (!covers) return windows;
  const size = rows.size * columns.size;
  return { rows: { ...rows, size: 1, kernel: 1 }, columns: { ...columns, size, kernel: size } };
};

/** Calls `four`, then `one`, for `count` neighbours from `pointer` on. */
const forRun = (
  b: FunctionBody,
  pointer: Expr<"i32">,
  count: Expr<"i32"> | number,
  four: (pointer: Local<"i32">, offset: number) => void,
  one: (pointer: Local<"i32">) => void,
): void => {
  const moving = b.let(pointer);
  const rest = b.let(typeof count === "number" ? i32.const(count) : count);
  for (const vectors of [4, 1])
    b.if(i32.geU(rest, 4 * vectors), () =>
      b.forever((leave) => {
        for (let v = 0; v < vectors; v++) four(moving, 16 * v);
        b.increment(moving, 16 * vectors);
        b.increment(rest, -4 * vectors);
        leave(i32.ltU(rest, 4 * vectors));
      }),
    );
  if (typeof count === "number" && count % 4 === 0) return;
  b.if(rest, () =>
    b.forever((leave) => {
      one(moving);
      b.increment(moving, 4);
      b.increment(rest, -1);
      leave(i32.eqz(rest));
    }),
  );
};

/** `forRun` over each row of a window. */
const forWideRows = (
  b: FunctionBody,
  windows: Windows,
  place: Place,
  four: (pointer: Local<"i32">, offset: number) => void,
  one: (pointer: Local<"i32">) => void,
): void => {
  const { from, to } = place.columns;
  forWindowRows(b, windows, place, (pointer, offset) => {
    if (typeof from === "number" && typeof to === "number")
      forRun(b, i32.add(pointer, offset + 4 * from), to - from, four, one);
    else
      forRun(
        b,
        i32.add(pointer, i32.shl(from as Local<"i32">, 2)),
        i32.sub(to as Local<"i32">, from as Local<"i32">),
        four,
        one,
      );
  });
};

const lanesSum = (v: Local<"v128">): F32 =>
  f32.add(
    f32.add(f32x4.extractLane(v, 0), f32x4.extractLane(v, 1)),
    f32.add(f32x4.extractLane(v, 2), f32x4.extractLane(v, 3)),
  );

/** The sum of a wide window: four vectors side by side, then the rest. */
const wideSum = (b: FunctionBody, windows: Windows, place: Place): F32 => {
  const sums = [0, 1, 2, 3].map(() => b.let(f32x4.const(0)));
  const tail = b.let(f32.const(0));
  forWideRows(
    b,
    windows,
    place,
    (pointer, offset) => {
      const sum = sums[offset / 16] as Local<"v128">;
      b.set(sum, f32x4.add(sum, v128.load(pointer, offset)));
    },
    (pointer) => b.set(tail, f32.add(tail, f32.load(pointer))),
  );
  const [s0, s1, s2, s3] = sums as [Local<"v128">, Local<"v128">, Local<"v128">, Local<"v128">];
  return f32.add(lanesSum(b.let(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)))), tail);
};

const narrowSum = (b: FunctionBody, windows: Windows, place: Place): V128 => {
  const sum = b.let(f32x4.const(0));
  forWindowRows(b, windows, place, (pointer, offset, first) =>
    forWindowColumns(b, windows, place, pointer, offset, first, (element) =>
      b.set(sum, element.first ? element.value() : f32x4.add(sum, element.value())),
    ),
  );
  return sum;
};

const avgPool = (windows: Windows, countIncludePad: boolean): FunctionDefinition =>
  planewise(windows, 1, (b, _scratch, image, y) =>
    forWindows(b, windows, image, true, (place) => {
      const wide = place.lanes === 1 && isWide(windows);
      const sum = wide ? f32x4.splat(wideSum(b, windows, place)) : narrowSum(b, windows, place);
      const mean = b.let(f32x4.div(sum, f32x4.splat(place.divisor(countIncludePad))));
      storePlace(b, place, y as Local<"i32">, mean);
    }),
  );

const addVector = (b: FunctionBody, pointer: Local<"i32">, offset: number, value: V128): void =>
  b.do(v128.store(pointer, f32x4.add(v128.load(pointer, offset), value), offset));
const addScalar = (b: FunctionBody, pointer: Local<"i32">, offset: number, value: F32): void =>
  b.do(f32.store(pointer, f32.add(f32.load(pointer, offset), value), offset));

/** Windows two wide and two apart: a share is two neighbours. */
const isTwoWide = ({ columns: { kernel, stride, dilation } }: Windows): boolean =>
  stride === 2 && kernel === 2 && dilation === 1;

/** Adds the shares of four neighbouring windows to the pixels under them. */
const spreadFour = (b: FunctionBody, windows: Windows, place: Place, share: Local<"v128">): void => {
  const { stride } = windows.columns;
  const scalars = [0, 1, 2, 3].map((lane) => () => f32x4.extractLane(share, lane));
  const spread = ({ pointer, offset }: Pick<Element, "pointer" | "offset">): void => {
    if (stride === 1) addVector(b, pointer, offset, share);
    else for (const [lane, value] of scalars.entries()) addScalar(b, pointer, offset + 4 * stride * lane, value());
  };
  if (!isTwoWide(windows)) {
    forWindowRows(b, windows, place, (pointer, offset) =>
      forWindowColumns(b, windows, place, pointer, offset, false, spread),
    );
    return;
  }
  const low = b.let(v128.shuffle(share, share, [0, 0, 1, 1]));
  const high = b.let(v128.shuffle(share, share, [2, 2, 3, 3]));
  forWindowRows(b, windows, place, (pointer, offset) => {
    addVector(b, pointer, offset, low);
    addVector(b, pointer, offset + 16, high);
  });
};

const spreadOne = (b: FunctionBody, windows: Windows, place: Place, share: Local<"f32">): void => {
  if (isWide(windows)) {
    const splat = b.let(f32x4.splat(share));
    forWideRows(
      b,
      windows,
      place,
      (pointer, offset) => addVector(b, pointer, offset, splat),
      (pointer) => addScalar(b, pointer, 0, share),
    );
    return;
  }
  forWindowRows(b, windows, place, (pointer, offset) =>
    forWindowColumns(b, windows, place, pointer, offset, false, (element) =>
      addScalar(b, element.pointer, element.offset, share),
    ),
  );
};

/** Spreads the shares of a plane of gradients over the image. */
const spread = (
  b: FunctionBody,
  windows: Windows,
  image: Local<"i32">,
  gradients: Local<"i32">,
  countIncludePad: boolean,
): void => {
  fillWithZeros(b, image, imageOf(windows));
  forWindows(b, windows, image, false, (place) => {
    const from = i32.add(gradients, place.output);
    const divisor = place.divisor(countIncludePad);
    if (place.lanes === 4) {
      const gradient = v128.load(from, place.outputOffset);
      spreadFour(b, windows, place, b.let(f32x4.div(gradient, f32x4.splat(divisor))));
    } else spreadOne(b, windows, place, b.let(f32.div(f32.load(from, place.outputOffset), divisor)));
  });
};

/** to[i] += from[i] / divisor, for a row of `count`. */
const addQuotients = (
  b: FunctionBody,
  from: Local<"i32">,
  to: Local<"i32">,
  count: number,
  divisor: Local<"f32">,
): void => {
  const divisors = b.let(f32x4.splat(divisor));
  const [x, y] = [b.let(from), b.let(to)];
  b.for(0, Math.floor(count / 4), 1, () => {
    addVector(b, y, 0, f32x4.div(v128.load(x), divisors));
    b.increment(x, 16);
    b.increment(y, 16);
  });
  for (let i = 0; i < count % 4; i++) addScalar(b, y, 4 * i, f32.div(f32.load(x, 4 * i), divisor));
};

/** Rows of shares, spread along the columns, are added to each row of the image that their windows cover. */
const spreadAlongRows = (
  b: FunctionBody,
  { rows, columns }: Windows,
  image: Local<"i32">,
  shares: Local<"i32">,
  countIncludePad: boolean,
): void => {
  const pitch = 4 * columns.size;
  fillWithZeros(b, image, rows.size * columns.size);
  const from = b.let(shares);
  b.for(
    0,
    rows.outputs,
    1,
    (row) => {
      const clip = clipLater(b, rows, row);
      const count = b.let(i32.sub(clip.to, clip.from));
      const divisor = b.let(f32.convertI32S(countIncludePad ? clip.padded : count));
      const start = i32.sub(i32.mul(row, rows.stride), rows.before);
      const first = i32.add(start, i32.mul(clip.from, rows.dilation));
      const to = b.let(i32.add(image, i32.mul(first, pitch)));
      b.for(0, count, 1, () => {
        addQuotients(b, from, to, columns.size, divisor);
        b.increment(to, rows.dilation * pitch);
      });
      b.increment(from, pitch);
    },
    { atLeastOnce: true },
  );
};

/** Whether to spread along columns first, and then whole rows: pays where windows have rows, and are no plain tiles. */
const isSeparated = (windows: Windows): boolean => windows.rows.kernel > 1 && !isWide(windows) && !isTwoWide(windows);

/** Bytes of scratch memory. */
const sharesBytes = (windows: Windows): number =>
  isSeparated(windows) ? 4 * windows.rows.outputs * windows.columns.size : 0;

const avgPoolGrad = (windows: Windows, countIncludePad: boolean): FunctionDefinition =>
  planewise(windows, 1, (b, scratch, image, gradients) => {
    if (!isSeparated(windows)) {
      spread(b, windows, image, gradients as Local<"i32">, countIncludePad);
      return;
    }
    const { rows, columns } = windows;
    const alongColumns = { rows: oneByOne(rows.outputs), columns };
    spread(b, alongColumns, scratch, gradients as Local<"i32">, countIncludePad);
    spreadAlongRows(b, windows, image, scratch, countIncludePad);
  });

const avgWindows = (attrs: AvgPoolAttrs, image: Shape, output: Shape): Windows =>
  joinRows(poolWindows(attrs, image, output));

type Pool2dKernels = Pick<WasmKernels, "maxPool2d" | "maxPool2dGrad" | "avgPool2d" | "avgPool2dGrad">;

export const pool2dKernels = (runtime: Runtime): Pool2dKernels => ({
  maxPool2d: {
    run: ({ inputs: [x], outputs: [y, indices], attrs }) => {
      const windows = poolWindows(attrs as PoolAttrs, x.shape, y.shape);
      const addresses = [x.storage.address, y.storage.address, indices.storage.address];
      run(runtime, "maxPool2d", windows, planesOf(x.shape), addresses, () => maxPool(windows));
    },
  },

  maxPool2dGrad: {
    run: ({ inputs: [gy, indices], outputs: [gx], attrs }) => {
      const windows = poolWindows(attrs, gx.shape, gy.shape);
      const addresses = [gx.storage.address, gy.storage.address, indices.storage.address];
      run(runtime, "maxPool2dGrad", windows, planesOf(gx.shape), addresses, () => maxPoolGrad(windows));
    },
  },

  avgPool2d: {
    run: ({ inputs: [x], outputs: [y], attrs }) => {
      const windows = avgWindows(attrs, x.shape, y.shape);
      const { countIncludePad } = attrs;
      run(
        runtime,
        `avgPool2d:${countIncludePad}`,
        windows,
        planesOf(x.shape),
        [x.storage.address, y.storage.address],
        () => avgPool(windows, countIncludePad),
      );
    },
  },

  avgPool2dGrad: {
    run: ({ inputs: [gy], outputs: [gx], attrs }) => {
      const windows = avgWindows(attrs, gx.shape, gy.shape);
      const { countIncludePad } = attrs;
      run(
        runtime,
        `avgPool2dGrad:${countIncludePad}`,
        windows,
        planesOf(gx.shape),
        [gx.storage.address, gy.storage.address],
        () => avgPoolGrad(windows, countIncludePad),
        sharesBytes(windows),
      );
    },
  },
});
