import { type Attrs, around } from "@striate/core/backend";
import { f64x2, type I32, i32, select, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { HEAVY_CHUNK, split, storeLanes } from "../loops.js";
import { expF64x2, logF64x2 } from "../math.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { demote, mapPair, promote } from "./lines.js";
import { forUnits, minU } from "./rows.js";

/** base^exponent, for positive bases; AlexNet's exponent needs no logarithm. */
const power = (b: FunctionBody, base: Local<"v128">, exponent: number): V128 => {
  if (exponent === 1) return base;
  if (exponent === 0.75) {
    const root = b.let(f64x2.sqrt(base));
    return f64x2.mul(root, f64x2.sqrt(root));
  }
  return expF64x2(b, f64x2.mul(f64x2.const(exponent), logF64x2(b, base)));
};

/**
 * A unit is one channel of one image. The window of channel c runs from c - floor(size/2) to c + floor((size-1)/2), as
 * PyTorch's. Arguments: x, y, units, units a task, channels, elements a channel.
 */
const program = ({ size, alpha, beta, k }: Attrs<"localResponseNorm">): FunctionDefinition =>
  defineFunction({
    name: "localResponseNorm",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, y, units, chunk, channels, inner) => {
      const plane = b.let(i32.mul(inner, 4));
      const rest = b.let(i32.and(inner, 3));
      const low = b.local("v128");
      const high = b.local("v128");
      forUnits(b, task, chunk, units, (unit) => {
        const channel = b.let(i32.remU(unit, channels));
        const back = select(i32.ltU(channel, Math.floor(size / 2)), channel, i32.const(Math.floor(size / 2)));
        const before = b.let(back);
        const ahead = minU(b, i32.sub(i32.sub(channels, channel), 1), Math.floor((size - 1) / 2));
        const count = b.let(i32.add(i32.add(before, ahead), 1));
        const begin = b.let(i32.mul(unit, plane));
        const end = b.let(i32.add(begin, i32.mul(i32.and(inner, -4), 4)));
        const reach = b.let(i32.mul(before, plane));
        const normalize = (offset: I32): Local<"v128"> => {
          b.set(low, f64x2.const(0));
          b.set(high, f64x2.const(0));
          const p = b.let(i32.sub(i32.add(x, offset), reach));
          b.for(
            0,
            count,
            1,
            () => {
              const v = promote(b, v128.load(p));
              b.set(low, f64x2.add(low, f64x2.mul(v.low, v.low)));
              b.set(high, f64x2.add(high, f64x2.mul(v.high, v.high)));
              b.increment(p, plane);
            },
            { atLeastOnce: true },
          );
          const divisor = mapPair(b, { low, high }, (squares) => {
            const base = b.let(f64x2.add(f64x2.const(k), f64x2.mul(f64x2.const(alpha), squares)));
            return power(b, base, beta);
          });
          const own = promote(b, v128.load(i32.add(x, offset)));
          const quotient = {
            low: b.let(f64x2.div(own.low, divisor.low)),
            high: b.let(f64x2.div(own.high, divisor.high)),
          };
          return demote(b, quotient);
        };
        b.for(begin, end, 16, (offset) => b.do(v128.store(i32.add(y, offset), normalize(offset))));
        b.if(rest, () => storeLanes(b, b.let(i32.add(y, end)), normalize(end), rest));
      });
    },
  });

export const localResponseNormKernels = (runtime: Runtime): Pick<WasmKernels, "localResponseNorm"> => ({
  localResponseNorm: {
    run: ({ inputs: [x], outputs: [y], attrs }) => {
      const { outer: batch, extent: channels, inner } = around(x.shape, 1);
      const { chunk, tasks } = split(batch * channels, Math.max(1, Math.round(HEAVY_CHUNK / inner)));
      const { size, alpha, beta, k } = attrs;
      runtime.run(`localResponseNorm ${size} ${alpha} ${beta} ${k}`, () => program(attrs), tasks, [
        ...[x.storage.address, y.storage.address],
        ...[batch * channels, chunk, channels, inner],
      ]);
    },
  },
});
