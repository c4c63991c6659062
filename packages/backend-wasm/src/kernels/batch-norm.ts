import { around, type Call } from "@striate/core/backend";
import {
  type F32,
  type F64,
  f32,
  f32x4,
  f64,
  f64x2,
  type I32,
  i32,
  i32x4,
  select,
  type V128,
  v128,
} from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { pointwiseLoop } from "../loops.js";
import { reluF32x4 } from "../math.js";
import type { Runtime } from "../runtime.js";
import { addressesOf, type WasmKernels, type WasmStorage } from "../storage.js";
import { forUnits, minU, splitUnits } from "./rows.js";
import { storeFixedLanes } from "./tile.js";

// The elements of channel c in [N, C, ...] are runs of `inner`, one an image. Memory is the bound: a task takes a channel
// whole where two visits to it stay within the cache, else a channel's images are parted, and a second job combines.

/** Bytes of a channel that a task may visit twice without fetching them twice. */
const CACHE_BYTES = 2 ** 20;
/** Enough channels to keep all threads busy without parting them. */
const MANY_CHANNELS = 16;
/** Elements a task, where there is a choice. */
const TASK_ELEMENTS = 2 ** 15;

interface Split {
  /** Channels a task. */
  readonly perBlock: number;
  readonly blocks: number;
  /** Images a task. */
  readonly images: number;
  readonly parts: number;
}

/** By shape alone: the sums' order must not depend on the number of threads. */
const splitOf = (batch: number, channels: number, inner: number, inputs: number): Split => {
  const each = batch * inner;
  // No more than 4096 tasks or so, however large the input is.
  const target = Math.max(TASK_ELEMENTS, Math.ceil((each * channels) / 4096));
  const whole = each <= target || (channels >= MANY_CHANNELS && each * inputs * 4 <= CACHE_BYTES);
  const images = whole ? batch : Math.max(1, Math.floor(target / inner));
  const perBlock = Math.min(channels, Math.max(1, Math.floor(target / each)));
  return { perBlock, blocks: Math.ceil(channels / perBlock), images, parts: Math.ceil(batch / images) };
};

type Phase =
  /** A channel whole: its sums, and what follows from them. */
  | "whole"
  /** Sums of a part. */
  | "sums"
  /** What follows from the sums of all parts. */
  | "apply";

/**
 * Elements that are summed in float32, in 16 strands, before the sums are added up in float64: an error of a few units in
 * the last place of float32, at a third of the cost.
 */
const BLOCK = 2 ** 11;
const VECTORS = 4;

/** The sum of all lanes. */
const total = (v: V128): F64 => {
  const pairs = f64x2.add(f64x2.promoteLowF32x4(v), f64x2.promoteLowF32x4(v128.shuffle(v, v, [2, 3, 2, 3])));
  return f64.add(f64x2.extractLane(pairs, 0), f64x2.extractLane(pairs, 1));
};

/** `count` sums in lanes, one set a strand. */
const strandsOf = (b: FunctionBody, count: number) => {
  const strands = Array.from({ length: count }, () => Array.from({ length: VECTORS }, () => b.local("v128")));
  return {
    clear: (): void => {
      for (const strand of strands.flat()) b.set(strand, f32x4.const(0));
    },
    add: (which: number, vector: number, value: V128): void => {
      const strand = strands[which]?.[vector] as Local<"v128">;
      b.set(strand, f32x4.add(strand, value));
    },
    total: (which: number): Local<"f64"> => {
      const [s, t, u, v] = strands[which] as readonly V128[] as [V128, V128, V128, V128];
      return b.let(total(b.let(f32x4.add(f32x4.add(s, t), f32x4.add(u, v)))));
    },
  };
};

/** Elements `from` to `from + length` of a run, by vectors; the last one may have only `valid` elements. */
const eachVector = (
  b: FunctionBody,
  offset: I32,
  length: number,
  visit: (offset: I32, immediate: number, vector: number, valid: number) => void,
): void => {
  const unrolled = length - (length % (4 * VECTORS));
  const full = length - (length % 4);
  const begin = b.let(offset);
  const p = b.local("i32");
  const loop = (from: number, to: number, vectors: number): void => {
    const rounds = (to - from) / (4 * vectors);
    const visitAll = (at: I32, immediate: number): void => {
      for (let v = 0; v < vectors; v++) visit(at, immediate + 16 * v, v, 4);
    };
    if (rounds <= 1) {
      if (rounds === 1) visitAll(begin, 4 * from);
      return;
    }
    b.set(p, i32.add(begin, 4 * from));
    b.for(p, b.let(i32.add(begin, 4 * to)), 16 * vectors, (at) => visitAll(at, 0), { atLeastOnce: true });
  };
  loop(0, unrolled, VECTORS);
  loop(unrolled, full, 1);
  if (full < length) visit(begin, 4 * full, 1, length - full);
};

const firstLanes = (v: V128, valid: number): V128 => {
  if (valid === 4) return v;
  let mask = i32x4.splat(0);
  for (let lane = 0; lane < valid; lane++) mask = i32x4.replaceLane(mask, lane, i32.const(-1));
  return v128.and(v, mask);
};

/** What a task does, and to which images. */
interface Place {
  readonly channel: I32;
  readonly part: I32;
  /** Images, the last exclusive. */
  readonly first: I32;
  readonly end: I32;
  /** Bytes from the start of the tensor to the channel's run in image `first`, and from one image to the next. */
  readonly offset: I32;
  readonly imageStep: I32;
}

interface SplitLocals {
  readonly task: I32;
  readonly batch: I32;
  readonly channels: I32;
  readonly blocks: I32;
  readonly perBlock: I32;
  readonly images: I32;
}

const eachChannel = (b: FunctionBody, inner: number, split: SplitLocals, visit: (place: Place) => void): void => {
  const { task, batch, channels, blocks, perBlock, images } = split;
  const part = b.let(i32.divU(task, blocks));
  const first = b.let(i32.mul(part, images));
  const end = minU(b, i32.add(first, images), batch);
  const from = b.let(i32.mul(i32.remU(task, blocks), perBlock));
  const to = minU(b, i32.add(from, perBlock), channels);
  const imageStep = b.let(i32.mul(channels, 4 * inner));
  b.for(from, to, 1, (channel) => {
    const offset = b.let(i32.add(i32.mul(first, imageStep), i32.mul(channel, 4 * inner)));
    visit({ channel, part, first, end, offset, imageStep });
  });
};

/**
 * Visits all elements of a channel, with `flush` after each block of some BLOCK elements; it is given their number.
 */
const eachBlock = (
  b: FunctionBody,
  inner: number,
  { first, end, offset, imageStep }: Place,
  visit: (offset: I32, immediate: number, vector: number, valid: number) => void,
  flush: (count: I32) => void,
): void => {
  const run = b.let(offset);
  if (inner >= BLOCK) {
    const full = inner - (inner % BLOCK);
    b.for(
      first,
      end,
      1,
      () => {
        b.for(
          0,
          4 * full,
          4 * BLOCK,
          (position) => {
            eachVector(b, i32.add(run, position), BLOCK, visit);
            flush(i32.const(BLOCK));
          },
          { atLeastOnce: true },
        );
        if (full < inner) {
          eachVector(b, i32.add(run, 4 * full), inner - full, visit);
          flush(i32.const(inner - full));
        }
        b.increment(run, imageStep);
      },
      { atLeastOnce: true },
    );
    return;
  }
  const runs = Math.floor(BLOCK / inner);
  b.for(
    first,
    end,
    runs,
    (image) => {
      const next = minU(b, i32.add(image, runs), end);
      b.for(
        image,
        next,
        1,
        () => {
          eachVector(b, run, inner, visit);
          b.increment(run, imageStep);
        },
        { atLeastOnce: true },
      );
      flush(i32.mul(i32.sub(next, image), inner));
    },
    { atLeastOnce: true },
  );
};

const eachRun = (
  b: FunctionBody,
  inner: number,
  { first, end, offset, imageStep }: Place,
  visit: (offset: I32, immediate: number, vector: number, valid: number) => void,
): void => {
  const run = b.let(offset);
  b.for(
    first,
    end,
    1,
    () => {
      eachVector(b, run, inner, visit);
      b.increment(run, imageStep);
    },
    { atLeastOnce: true },
  );
};

/** 0 for what is not finite. */
const finite = (value: Local<"f64">): F64 =>
  select(f64.lt(f64.abs(value), f64.const(Number.POSITIVE_INFINITY)), value, f64.const(0));

/**
 * Count, mean and sum of squared distances from it, from those of parts, in float64 about some value near the mean. That
 * costs a factor of the number of parts in precision at worst, for the distance of one part from the mean is a part of
 * the variance too. Unlike the pairwise formula it keeps an infinite mean.
 */
const momentsOf = (b: FunctionBody, near: Local<"f64">) => {
  const centre = b.let(finite(near));
  const sum = b.let(f64.const(0));
  const squares = b.let(f64.const(0));
  return {
    add: (count: F64, mean: F64, distances: F64): void => {
      const distance = b.let(f64.sub(mean, centre));
      const weighted = b.let(f64.mul(count, distance));
      b.set(sum, f64.add(sum, weighted));
      b.set(squares, f64.add(squares, f64.add(distances, f64.mul(weighted, distance))));
    },
    result: (count: F64): { readonly mean: Local<"f64">; readonly distances: Local<"f64"> } => {
      const distance = b.let(f64.div(sum, count));
      return {
        mean: b.let(f64.add(centre, distance)),
        distances: b.let(f64.max(f64.sub(squares, f64.mul(sum, distance)), f64.const(0))),
      };
    },
  };
};

const splatDemoted = (value: F64): V128 => f32x4.splat(f32.demote(value));

const loadDouble = (address: I32): F64 => f64.promote(f32.load(address));

/** The address of [part, channel] in the temporary: two float64. */
const partialAt = (partials: I32, part: I32, channels: I32, channel: I32): I32 =>
  i32.add(partials, i32.mul(i32.add(i32.mul(part, channels), channel), 16));

/** Elements of the first run that the first guess at the mean looks at. */
const GUESSED = 256;

/**
 * Squares are summed about the mean of the block before: then float32 suffices, for what the means of blocks differ by is
 * a part of the variance.
 */
const forwardProgram = (phase: Phase, inner: number, eps: number, relu: boolean): FunctionDefinition =>
  defineFunction({
    name: "batchNorm",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _s, x, weight, bias, y, mean, variance, partials, batch, channels, blocks, perBlock, images) => {
      const strands = strandsOf(b, phase === "apply" ? 0 : 2);
      const shift = b.local("v128");
      const value = b.local("v128");

      const measure = (place: Place) => {
        const guessed = Math.min(inner, GUESSED);
        strands.clear();
        eachVector(b, place.offset, guessed, (offset, immediate, vector, valid) =>
          strands.add(0, vector, firstLanes(v128.load(i32.add(x, offset), immediate), valid)),
        );
        const guess = b.let(f64.div(strands.total(0), f64.const(guessed)));
        const moments = momentsOf(b, guess);
        const setShift = (to: Local<"f64">): void => b.set(shift, splatDemoted(finite(to)));
        setShift(guess);
        strands.clear();
        eachBlock(
          b,
          inner,
          place,
          (offset, immediate, vector, valid) => {
            b.set(value, firstLanes(f32x4.sub(v128.load(i32.add(x, offset), immediate), shift), valid));
            strands.add(0, vector, value);
            strands.add(1, vector, f32x4.mul(value, value));
          },
          (elements) => {
            const count = b.let(f64.convertI32U(elements));
            const sum = strands.total(0);
            const distance = b.let(f64.div(sum, count));
            const blockMean = b.let(f64.add(f64.promote(f32x4.extractLane(shift, 0)), distance));
            moments.add(count, blockMean, f64.max(f64.sub(strands.total(1), f64.mul(sum, distance)), f64.const(0)));
            setShift(blockMean);
            strands.clear();
          },
        );
        return moments.result(f64.convertI32U(i32.mul(i32.sub(place.end, place.first), inner)));
      };

      const combine = ({ channel }: Place) => {
        const p = b.let(partialAt(partials, i32.const(0), channels, channel));
        const step = b.let(i32.mul(channels, 16));
        const moments = momentsOf(b, b.let(f64.load(p)));
        const image = b.let(i32.const(0));
        b.forever((leave) => {
          const next = minU(b, i32.add(image, images), batch);
          moments.add(f64.convertI32U(i32.mul(i32.sub(next, image), inner)), f64.load(p), f64.load(p, 8));
          b.increment(p, step);
          b.set(image, next);
          leave(i32.geU(image, batch));
        });
        return moments.result(f64.convertI32U(i32.mul(batch, inner)));
      };

      const normalize = (place: Place, m: Local<"f64">, distances: Local<"f64">): void => {
        const own = b.let(i32.mul(place.channel, 4));
        const biased = b.let(f64.div(distances, f64.convertI32U(i32.mul(batch, inner))));
        const factor = b.let(f64.div(loadDouble(i32.add(weight, own)), f64.sqrt(f64.add(biased, f64.const(eps)))));
        const rounded: Local<"f32"> = b.let(f32.demote(m));
        b.if(i32.eqz(place.part), () => {
          b.do(f32.store(i32.add(mean, own), rounded));
          b.do(f32.store(i32.add(variance, own), f32.demote(biased)));
        });
        // What rounding the mean to float32 loses goes into the offset.
        const lost = f64.mul(f64.sub(m, f64.promote(rounded)), factor);
        const offsets = b.let(splatDemoted(f64.sub(loadDouble(i32.add(bias, own)), lost)));
        const factors = b.let(splatDemoted(factor));
        b.set(shift, f32x4.splat(rounded as F32));
        eachRun(b, inner, place, (offset, immediate, _vector, valid) => {
          const centred = f32x4.sub(v128.load(i32.add(x, offset), immediate), shift);
          const normalized = f32x4.add(f32x4.mul(centred, factors), offsets);
          const result = relu ? reluF32x4(normalized) : normalized;
          storeFixedLanes(b, i32.add(y, offset), result, valid, { offset: immediate });
        });
      };

      eachChannel(b, inner, { task, batch, channels, blocks, perBlock, images }, (place) => {
        const { mean: m, distances } = phase === "apply" ? combine(place) : measure(place);
        if (phase === "sums") {
          const p = b.let(partialAt(partials, place.part, channels, place.channel));
          b.do(f64.store(p, m));
          b.do(f64.store(p, distances, 8));
        } else normalize(place, m, distances);
      });
    },
  });

/** gx = w/σ · (gy - mean(gy) - (x - mean)/σ² · mean(gy · (x - mean))). */
const backwardProgram = (phase: Phase, inner: number, eps: number): FunctionDefinition =>
  defineFunction({
    name: "batchNormGrad",
    params: [
      ...(["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"] as const),
      ...(["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"] as const),
    ],
    build: (
      b,
      task,
      _scratch,
      x,
      weight,
      mean,
      variance,
      gy,
      gx,
      gweight,
      gbias,
      partials,
      batch,
      channels,
      blocks,
      perBlock,
      images,
    ) => {
      const strands = strandsOf(b, phase === "apply" ? 0 : 2);
      const shift = b.local("v128");
      const value = b.local("v128");
      const sum = b.local("f64");
      const product = b.local("f64");

      const measure = (place: Place): void => {
        strands.clear();
        eachBlock(
          b,
          inner,
          place,
          (offset, immediate, vector, valid) => {
            b.set(value, firstLanes(v128.load(i32.add(gy, offset), immediate), valid));
            strands.add(0, vector, value);
            const distance = firstLanes(f32x4.sub(v128.load(i32.add(x, offset), immediate), shift), valid);
            strands.add(1, vector, f32x4.mul(value, distance));
          },
          () => {
            b.set(sum, f64.add(sum, strands.total(0)));
            b.set(product, f64.add(product, strands.total(1)));
            strands.clear();
          },
        );
      };

      const combine = ({ channel }: Place): void => {
        const p = b.let(partialAt(partials, i32.const(0), channels, channel));
        const step = b.let(i32.mul(channels, 16));
        const image = b.let(i32.const(0));
        b.forever((leave) => {
          b.set(sum, f64.add(sum, f64.load(p)));
          b.set(product, f64.add(product, f64.load(p, 8)));
          b.increment(p, step);
          b.increment(image, images);
          leave(i32.geU(image, batch));
        });
      };

      const apply = (place: Place, own: I32): void => {
        const inverse = b.let(
          f64.div(f64.const(1), f64.sqrt(f64.add(loadDouble(i32.add(variance, own)), f64.const(eps)))),
        );
        b.if(i32.eqz(place.part), () => {
          b.do(f32.store(i32.add(gweight, own), f32.demote(f64.mul(product, inverse))));
          b.do(f32.store(i32.add(gbias, own), f32.demote(sum)));
        });
        const count = b.let(f64.convertI32U(i32.mul(batch, inner)));
        const factors = b.let(splatDemoted(f64.mul(loadDouble(i32.add(weight, own)), inverse)));
        const offsets = b.let(splatDemoted(f64.div(sum, count)));
        const slopes = b.let(splatDemoted(f64.mul(f64.div(product, count), f64.mul(inverse, inverse))));
        eachRun(b, inner, place, (offset, immediate, _vector, valid) => {
          const distance = f32x4.sub(v128.load(i32.add(x, offset), immediate), shift);
          const rest = f32x4.sub(v128.load(i32.add(gy, offset), immediate), offsets);
          const gradient = f32x4.mul(factors, f32x4.sub(rest, f32x4.mul(distance, slopes)));
          storeFixedLanes(b, i32.add(gx, offset), gradient, valid, { offset: immediate });
        });
      };

      eachChannel(b, inner, { task, batch, channels, blocks, perBlock, images }, (place) => {
        const own = b.let(i32.mul(place.channel, 4));
        b.set(shift, f32x4.splat(f32.load(i32.add(mean, own))));
        b.set(sum, f64.const(0));
        b.set(product, f64.const(0));
        if (phase === "apply") combine(place);
        else measure(place);
        if (phase === "sums") {
          const p = b.let(partialAt(partials, place.part, channels, place.channel));
          b.do(f64.store(p, sum));
          b.do(f64.store(p, product, 8));
        } else apply(place, own);
      });
    },
  });

/**
 * Each step is rounded as core's decomposition rounds it, for the same bits. A unit is a run of `length` elements in memory: of
 * one channel, or, where channels have single elements (`single`), of all of them.
 */
const inferenceProgram = (single: boolean, relu: boolean): FunctionDefinition =>
  defineFunction({
    name: "batchNormInference",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "f32"],
    build: (b, task, _s, x, mean, variance, weight, bias, y, units, chunk, channels, length, eps) => {
      const epsilon = b.let(f32x4.splat(eps));
      const scaleOf = (spread: V128, by: V128): V128 =>
        f32x4.mul(f32x4.div(f32x4.const(1), f32x4.sqrt(f32x4.add(spread, epsilon))), by);
      const normalize = (value: V128, centre: V128, scale: V128, offset: V128): V128 => {
        const normalized = f32x4.add(f32x4.mul(f32x4.sub(value, centre), scale), offset);
        return relu ? reluF32x4(normalized) : normalized;
      };
      const step = b.let(i32.mul(length, 4));
      forUnits(b, task, chunk, units, (unit) => {
        const offset = b.let(i32.mul(unit, step));
        const walk = (base: I32) => ({ address: b.let(base), bytes: 4, step: 1 }) as const;
        const [source, destination] = [walk(i32.add(x, offset)), walk(i32.add(y, offset))];
        if (single) {
          const sources = [source, ...[mean, variance, weight, bias].map(walk)];
          pointwiseLoop(b, length, sources, destination, (values) => {
            const [value, centre, spread, by, start] = values as [V128, V128, V128, V128, V128];
            return normalize(value, centre, scaleOf(spread, by), start);
          });
          return;
        }
        const own = b.let(i32.mul(i32.remU(unit, channels), 4));
        const splat = (base: I32): V128 => v128.load32Splat(i32.add(base, own));
        const [centre, scale, start] = [
          b.let(splat(mean)),
          b.let(scaleOf(splat(variance), splat(weight))),
          b.let(splat(bias)),
        ];
        pointwiseLoop(b, length, [source], destination, ([value]) => normalize(value as V128, centre, scale, start));
      });
    },
  });

export const batchNormKernels = (
  runtime: Runtime,
): Pick<WasmKernels, "batchNorm" | "batchNormRelu" | "batchNormInference" | "batchNormGrad"> => {
  const run = (
    name: string,
    program: (phase: Phase, inner: number, eps: number) => FunctionDefinition,
    shape: readonly number[],
    inputs: number,
    eps: number,
    addresses: readonly number[],
  ): void => {
    const { outer: batch, extent: channels, inner } = around(shape, 1);
    const { blocks, perBlock, images, parts } = splitOf(batch, channels, inner, inputs);
    const runPhase = (phase: Phase, partials: number): void =>
      runtime.run(`${name} ${phase} ${inner} ${eps}`, () => program(phase, inner, eps), blocks * parts, [
        ...addresses,
        partials,
        ...[batch, channels, blocks, perBlock, images],
      ]);
    if (parts === 1) {
      runPhase("whole", 0);
      return;
    }
    runtime.withTemporary(parts * channels * 16, (partials) => {
      runPhase("sums", partials);
      runPhase("apply", partials);
    });
  };

  const forward = (name: string, relu: boolean): { run(call: Omit<Call<"batchNorm", WasmStorage>, "op">): void } => {
    const program = (phase: Phase, inner: number, eps: number) => forwardProgram(phase, inner, eps, relu);
    return {
      run: ({ inputs, outputs, attrs: { eps } }) =>
        run(name, program, inputs[0].shape, 1, eps, addressesOf([...inputs, ...outputs])),
    };
  };

  return {
    batchNorm: forward("batchNorm", false),
    batchNormRelu: forward("batchNormRelu", true),
    batchNormInference: {
      run: ({ inputs, outputs, attrs: { eps, relu } }) => {
        const { outer: batch, extent: channels, inner } = around(inputs[0].shape, 1);
        const single = inner === 1;
        const [units, length] = single ? [batch, channels] : [batch * channels, inner];
        const { tasks, chunk } = splitUnits(units, length);
        runtime.run(`batchNormInference ${single} ${relu}`, () => inferenceProgram(single, relu), tasks, [
          ...addressesOf([...inputs, ...outputs]),
          ...[units, chunk, channels, length, eps],
        ]);
      },
    },
    batchNormGrad: {
      run: ({ inputs, outputs, attrs: { eps } }) =>
        run("batchNormGrad", backwardProgram, inputs[0].shape, 2, eps, addressesOf([...inputs, ...outputs])),
    },
  };
};
