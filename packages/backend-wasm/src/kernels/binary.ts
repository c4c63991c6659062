import type { BinaryKind, CompareKind, DType } from "@striate/core/backend";
import { f32x4, i32x4, type V128, v128 } from "../assembler/instructions.js";
import type { FunctionBody } from "../assembler/module.js";
import { powF64x2, zipF64x2 } from "../math.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { bytesOf, createPointwise, type Pointwise } from "./pointwise.js";

type Combine = (a: V128, b: V128, body: FunctionBody) => V128;

const float: { readonly [K in BinaryKind]: Combine } = {
  add: f32x4.add,
  sub: f32x4.sub,
  mul: f32x4.mul,
  div: f32x4.div,
  max: f32x4.max,
  min: f32x4.min,
  pow: (x, y, body) => zipF64x2(body, [x, y], ([x64, y64]) => powF64x2(body, x64 as V128, y64 as V128)),
};

const int32: { readonly [K in BinaryKind]?: Combine } = {
  add: i32x4.add,
  sub: i32x4.sub,
  mul: i32x4.mul,
  max: i32x4.maxS,
  min: i32x4.minS,
};

/** Modulo 256. */
const uint8 = Object.fromEntries(
  Object.entries(int32).map(([kind, f]): [string, Combine] => [
    kind,
    (a, b, body) => v128.and(f(a, b, body), i32x4.splat(255)),
  ]),
) as typeof int32;

const combinations = { float32: float, int32, uint8 } as const;

const floatComparisons: { readonly [K in CompareKind]: Combine } = {
  eq: f32x4.eq,
  ne: f32x4.ne,
  lt: f32x4.lt,
  le: f32x4.le,
};

const integerComparisons: { readonly [K in CompareKind]: Combine } = {
  eq: i32x4.eq,
  ne: i32x4.ne,
  lt: i32x4.ltS,
  le: i32x4.leS,
};

const combine = (dtype: DType, kind: BinaryKind): Combine =>
  combinations[dtype as keyof typeof combinations][kind] as Combine;

type BinaryKernels = Pick<WasmKernels, "binary" | "binaryScalar" | "compare">;

export const binaryKernels = (runtime: Runtime): BinaryKernels => {
  const run = createPointwise(runtime);
  const operations = new Map<string, Pointwise>();
  /** Operations are made when they are first met. */
  const operation = (key: string, make: () => Omit<Pointwise, "key">): Pointwise => {
    let known = operations.get(key);
    if (known === undefined) {
      known = { key, ...make() };
      operations.set(key, known);
    }
    return known;
  };

  return {
    binary: ({ inputs, outputs: [y], attrs: { kind } }) => {
      const op = operation(`binary ${kind} ${y.dtype}`, () => {
        const f = combine(y.dtype, kind);
        const bytes = bytesOf(y);
        return {
          inputs: [bytes, bytes],
          output: bytes,
          heavy: kind === "pow",
          compute: (body, [a, b]) => f(a as V128, b as V128, body),
        };
      });
      run(op, inputs, y);
    },

    binaryScalar: {
      run: ({ inputs, outputs: [y], attrs: { kind, value, side } }) => {
        if (kind === "pow" && value === 2 && side === "right") {
          const square = operation("binaryScalar square", () => ({
            inputs: [4],
            output: 4,
            compute: (_, [x]) => f32x4.mul(x as V128, x as V128),
          }));
          run(square, inputs, y);
          return;
        }
        const op = operation(`binaryScalar ${kind} ${y.dtype} ${side}`, () => {
          const f = combine(y.dtype, kind);
          const bytes = bytesOf(y);
          return {
            inputs: [bytes],
            output: bytes,
            scalars: [y.dtype === "float32" ? "f32" : "i32"],
            heavy: kind === "pow",
            compute: (body, [x], [c]) =>
              side === "left" ? f(c as V128, x as V128, body) : f(x as V128, c as V128, body),
          };
        });
        run(op, inputs, y, [value]);
      },
    },

    compare: ({ inputs, outputs: [y], attrs: { kind } }) => {
      const [{ dtype }] = inputs;
      const op = operation(`compare ${kind} ${dtype}`, () => {
        const f = (dtype === "float32" ? floatComparisons : integerComparisons)[kind];
        const bytes = bytesOf(inputs[0]);
        return {
          inputs: [bytes, bytes],
          output: 1,
          compute: (body, [a, b]) => i32x4.shrU(f(a as V128, b as V128, body), 31),
        };
      });
      run(op, inputs, y);
    },
  };
};
