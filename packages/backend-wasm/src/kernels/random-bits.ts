import { sizeOf } from "@striate/core/backend";
import { i32, i32x4, i64x2, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { HEAVY_CHUNK, partOf, split, storeLanes } from "../loops.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";

// Philox4x32-10: J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

type Vector = Local<"v128">;
type Four = readonly [Vector, Vector, Vector, Vector];

/** The halves of the products of unsigned lanes with a constant. */
const multiply = (b: FunctionBody, x: V128, factor: number): { low: V128; high: V128 } => {
  const factors = i32x4.splat(factor | 0);
  const even = b.let(i64x2.extmulLowI32x4U(x, factors));
  const odd = b.let(i64x2.extmulHighI32x4U(x, factors));
  return { low: v128.shuffle(even, odd, [0, 2, 4, 6]), high: v128.shuffle(even, odd, [1, 3, 5, 7]) };
};

/** Word k of four counters, in place. */
const philox = (b: FunctionBody, [c0, c1, c2, c3]: Four, key: readonly [V128, V128]): void => {
  const [k0, k1] = [b.let(key[0]), b.let(key[1])];
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) {
      b.set(k0, i32x4.add(k0, i32x4.splat(WEYL[0] | 0)));
      b.set(k1, i32x4.add(k1, i32x4.splat(WEYL[1] | 0)));
    }
    const p0 = multiply(b, c0, MULTIPLIERS[0]);
    const p1 = multiply(b, c2, MULTIPLIERS[1]);
    b.set(c0, v128.xor(v128.xor(p1.high, c1), k0));
    b.set(c1, p1.low);
    b.set(c2, v128.xor(v128.xor(p0.high, c3), k1));
    b.set(c3, p0.low);
  }
};

/** Columns of 4 x 4 words become rows. */
const transpose = (b: FunctionBody, [c0, c1, c2, c3]: Four): Four => {
  const low = (x: V128, y: V128): Vector => b.let(v128.shuffle(x, y, [0, 4, 1, 5]));
  const high = (x: V128, y: V128): Vector => b.let(v128.shuffle(x, y, [2, 6, 3, 7]));
  const [l02, l13, h02, h13] = [low(c0, c2), low(c1, c3), high(c0, c2), high(c1, c3)];
  return [low(l02, l13), high(l02, l13), low(h02, h13), high(h02, h13)];
};

/** Counters, of four elements each, that are worked on together. */
const LANES = 4;
const GROUP = 4 * LANES;

/** (task, scratch, elements, groups, groups of a task, output, key, key, offset, stream) */
const program = (): FunctionDefinition =>
  defineFunction({
    name: "randomBits",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, elements, groups, chunk, output, key0, key1, offset, stream) => {
      const key = [b.let(i32x4.splat(key0)), b.let(i32x4.splat(key1))] as const;
      const { start, length } = partOf(b, task, groups, chunk);
      const left = b.let(i32.sub(elements, i32.mul(start, GROUP)));
      const to = b.let(i32.add(output, i32.mul(start, 4 * GROUP)));
      const first = b.let(i32x4.splat(i32.mul(start, LANES)));
      for (const lane of [1, 2, 3]) b.set(first, i32x4.replaceLane(first, lane, i32.add(i32.mul(start, LANES), lane)));
      const [c0, c1, c2, c3] = [b.local("v128"), b.local("v128"), b.local("v128"), b.local("v128")];
      b.for(0, length, 1, () => {
        b.set(c0, first);
        b.set(c1, i32x4.splat(offset));
        b.set(c2, i32x4.splat(stream));
        b.set(c3, i32x4.splat(0));
        philox(b, [c0, c1, c2, c3], key);
        const words = transpose(b, [c0, c1, c2, c3]);
        for (const word of words) b.set(word, i32x4.shrU(word, 8));
        b.if(
          i32.geU(left, GROUP),
          () => words.forEach((word, k) => b.do(v128.store(to, word, 16 * k))),
          () => {
            for (const word of words) {
              b.if(
                i32.geU(left, 4),
                () => {
                  b.do(v128.store(to, word));
                  b.increment(to, 16);
                  b.increment(left, -4);
                },
                () => {
                  storeLanes(b, to, word, left);
                  b.set(left, i32.const(0));
                },
              );
            }
          },
        );
        b.increment(to, 4 * GROUP);
        b.increment(left, -GROUP);
        b.set(first, i32x4.add(first, i32x4.splat(LANES)));
      });
    },
  });

export const randomBitsKernels = (runtime: Runtime): Pick<WasmKernels, "randomBits"> => ({
  randomBits: {
    run: ({ outputs: [y], attrs: { seed, stream, offset } }) => {
      const size = sizeOf(y.shape);
      const groups = Math.ceil(size / GROUP);
      const { tasks, chunk } = split(groups, HEAVY_CHUNK / GROUP);
      const key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)] as const;
      runtime.run("randomBits", program, tasks, [size, groups, chunk, y.storage.address, ...key, offset, stream]);
    },
  },
});
