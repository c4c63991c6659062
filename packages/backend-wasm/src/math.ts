/**
 * Vector arithmetic that instructions do not have. Functions on `f64x2` have a relative error below 1e-10: one rounding to
 * float32 is all that is left of it. They are meant for arguments that were float32, and for results that become
 * float32: beyond float32's range a result may be any double that rounds to the right infinity or zero.
 *
 * Each writes its code where it is called, and gives a local that is free to be used several times.
 */
import { f32x4, f64x2, i32x4, i64x2, type V128, v128 } from "./assembler/instructions.js";
import type { FunctionBody, Imported, Local } from "./assembler/module.js";

type Vector = Local<"v128">;

const c64 = (value: number): V128 => f64x2.const(value);

/** The double with these upper 32 bits, and zeros below. */
const doubleOfBits = (high: number): number => {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, high);
  return view.getFloat64(0);
};

/** ((c[0]·x + c[1])·x + …) + c[n] */
const polynomial = (b: FunctionBody, x: V128, coefficients: readonly number[]): Vector => {
  const [first, ...rest] = coefficients as [number, ...number[]];
  const sum = b.let(c64(first));
  for (const c of rest) b.set(sum, f64x2.add(f64x2.mul(sum, x), c64(c)));
  return sum;
};

/** max(x, 0): NaN stays, as pmax keeps it; so does -0, which becomes 0 by adding 0. */
export const reluF32x4 = (x: V128): V128 => f32x4.add(f32x4.pmax(x, f32x4.const(0)), f32x4.const(0));

/** -0 in every lane: the sign bits. */
const signs64 = (): V128 => c64(-0);

/** Applies `f` to the lower and the upper two of four float32 lanes, as doubles, and rounds. */
export const mapF64x2 = (b: FunctionBody, x: V128, f: (x: Vector) => V128): Vector =>
  zipF64x2(b, [x], ([x64]) => f(x64 as Vector));

/** `mapF64x2` for functions of several arguments. */
export const zipF64x2 = (b: FunctionBody, xs: readonly V128[], f: (xs: readonly Vector[]) => V128): Vector => {
  const inputs = xs.map((x) => b.let(x));
  const low = b.let(f(inputs.map((x) => b.let(f64x2.promoteLowF32x4(x)))));
  const high = b.let(f(inputs.map((x) => b.let(f64x2.promoteLowF32x4(v128.shuffle(x, x, [2, 3, 2, 3]))))));
  return b.let(v128.shuffle(f32x4.demoteF64x2Zero(low), f32x4.demoteF64x2Zero(high), [0, 1, 4, 5]));
};

/** Adding it to a small double rounds that to an integer, which is then found in the lower bits. */
const ROUNDER = 1.5 * 2 ** 52;
/** ln 2 = LN2_HIGH + LN2_LOW; the upper part has 32 bits, and its products with exponents are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** 1/9!, … 1/1! */
const inverseFactorials = [362880, 40320, 5040, 720, 120, 24, 6, 2, 1].map((n) => 1 / n);

/** x = n·ln 2 + r, |r| <= ln(2)/2; as r and 2^n. */
const reduceExp = (b: FunctionBody, x: V128): { r: Vector; scale: V128 } => {
  const shifted = b.let(f64x2.add(f64x2.mul(x, c64(Math.LOG2E)), c64(ROUNDER + 1023)));
  const n = b.let(f64x2.sub(shifted, c64(ROUNDER + 1023)));
  const r = b.let(f64x2.sub(f64x2.sub(x, f64x2.mul(n, c64(LN2_HIGH))), f64x2.mul(n, c64(LN2_LOW))));
  return { r, scale: i64x2.shl(shifted, 52) };
};

/** e^x; 0 below -709, Infinity above 709.8. */
export const expF64x2 = (b: FunctionBody, x: V128): Vector => {
  // The least gives the exponent -1023, whose bits are those of 0; the greatest 1024, those of Infinity.
  const clipped = b.let(f64x2.pmin(f64x2.pmax(x, c64(-709.1)), c64(710)));
  const { r, scale } = reduceExp(b, clipped);
  return b.let(f64x2.mul(polynomial(b, r, [...inverseFactorials, 1]), scale));
};

/** e^x - 1, without the cancellation near 0. */
export const expm1F64x2 = (b: FunctionBody, x: V128): Vector => {
  const input = b.let(x);
  const { r, scale } = reduceExp(b, b.let(f64x2.pmin(f64x2.pmax(input, c64(-300)), c64(300))));
  const power = b.let(scale);
  const tail = f64x2.mul(polynomial(b, r, inverseFactorials), r);
  const value = f64x2.add(f64x2.mul(tail, power), f64x2.sub(power, c64(1)));
  // -0 stays -0.
  return b.let(v128.or(value, v128.and(input, signs64())));
};

/** 2/15, … 2/3, 2: 2·atanh(s)/s in s². */
const atanhCoefficients = [15, 13, 11, 9, 7, 5, 3, 1].map((n) => 2 / n);

// Exponents are taken from bits that are moved such that 1 begins at sqrt(1/2).
const ONE_BITS = doubleOfBits(0x3ff00000);
const MOVE_BITS = doubleOfBits(0x3ff00000 - 0x3fe6a09e);
const TWO_52_BITS = doubleOfBits(0x43300000);

/**
 * log(x), of a normal double; `fraction` may replace m - 1 of x = m·2^n where n is 0.
 */
const logarithm = (b: FunctionBody, x: Vector, fraction?: V128): Vector => {
  const biased = b.let(i64x2.shrU(i64x2.add(x, c64(MOVE_BITS)), 52));
  const n = b.let(f64x2.sub(v128.or(biased, c64(TWO_52_BITS)), c64(2 ** 52 + 1023)));
  const m = i64x2.sub(i64x2.add(x, c64(ONE_BITS)), i64x2.shl(biased, 52));
  const f = b.let(f64x2.sub(m, c64(1)));
  if (fraction) b.set(f, v128.bitselect(fraction, f, f64x2.eq(n, c64(0))));
  const s = b.let(f64x2.div(f, f64x2.add(f, c64(2))));
  const series = polynomial(b, b.let(f64x2.mul(s, s)), atanhCoefficients);
  const value = f64x2.add(f64x2.add(f64x2.mul(series, s), f64x2.mul(n, c64(LN2_LOW))), f64x2.mul(n, c64(LN2_HIGH)));
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  const special = v128.bitselect(c64(-inf), v128.bitselect(x, c64(nan), f64x2.ge(x, c64(0))), f64x2.eq(x, c64(0)));
  return b.let(v128.bitselect(value, special, v128.and(f64x2.gt(x, c64(0)), f64x2.lt(x, c64(inf)))));
};

/** log(x); NaN below 0, -Infinity at 0. Of normal doubles: those that were float32 are. */
export const logF64x2 = (b: FunctionBody, x: V128): Vector => logarithm(b, b.let(x));

/** log(1 + x), without the cancellation near 0. */
export const log1pF64x2 = (b: FunctionBody, x: V128): Vector => {
  const input = b.let(x);
  const value = logarithm(b, b.let(f64x2.add(input, c64(1))), input);
  // -0 stays -0.
  return b.let(v128.or(value, v128.and(input, signs64())));
};

/** tanh(x) */
export const tanhF64x2 = (b: FunctionBody, x: V128): Vector => {
  const input = b.let(x);
  const magnitude = f64x2.pmin(f64x2.abs(input), c64(20));
  const e = expm1F64x2(b, f64x2.mul(magnitude, c64(2)));
  const value = f64x2.div(e, f64x2.add(e, c64(2)));
  return b.let(v128.or(value, v128.and(input, signs64())));
};

/** 1 / (1 + e^-x) */
export const sigmoidF64x2 = (b: FunctionBody, x: V128): Vector =>
  b.let(f64x2.div(c64(1), f64x2.add(expF64x2(b, f64x2.neg(x)), c64(1))));

/**
 * e^(z²)·erfc(z)/t in t = 3/(3 + z), highest power first: Chebyshev interpolation for z from 0 to 10.3, relative error below
 * 2e-11. The last one makes the sum exactly 1, and so erfc(0). Beyond 10.3 erfc(z) is 0 in float32.
 */
const ERFC_COEFFICIENTS = [
  0.01434838347378498, -0.11270683843120098, 0.37443264041077756, -0.6764565471207438, 0.7395171641182394,
  -0.577333716216249, 0.35316628496939606, -0.07807381312660676, 0.13329341432093583, 0.11808918061980878,
  0.1581175408224096, 0.17747137387499762, 0.1880719768367525, 0.18806295544769824,
];

/** erfc(z) = 1 - erf(z) for z >= 0 (or NaN), with its relative accuracy kept in the tail. */
export const erfcF64x2 = (b: FunctionBody, z: V128): Vector => {
  const input = b.let(z);
  const t = b.let(f64x2.div(c64(3), f64x2.add(f64x2.pmin(input, c64(10.3)), c64(3))));
  const density = expF64x2(b, f64x2.neg(f64x2.mul(input, input)));
  return b.let(f64x2.mul(f64x2.mul(polynomial(b, t, ERFC_COEFFICIENTS), t), density));
};

/** 2/√π·(-1)^k/(k!·(2k + 1)) for k = 9 … 0: erf(x)/x in x². */
const erfCoefficients = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((k) => {
  let factorial = 1;
  for (let i = 2; i <= k; i++) factorial *= i;
  return (k % 2 === 0 ? 2 : -2) / Math.sqrt(Math.PI) / (factorial * (2 * k + 1));
});

/** erf(x) */
export const erfF64x2 = (b: FunctionBody, x: V128): Vector => {
  const input = b.let(x);
  const magnitude = b.let(f64x2.abs(input));
  const centre = f64x2.mul(polynomial(b, b.let(f64x2.mul(input, input)), erfCoefficients), magnitude);
  const value = b.let(f64x2.sub(c64(1), erfcF64x2(b, magnitude)));
  b.set(value, v128.bitselect(centre, value, f64x2.lt(magnitude, c64(0.5))));
  return b.let(v128.or(value, v128.and(input, signs64())));
};

const hostSin: Imported<"f64"> = { name: "sin", params: ["f64"], result: "f64" };
const hostCos: Imported<"f64"> = { name: "cos", params: ["f64"], result: "f64" };

/** π/2 = HALF_PI_HIGH + HALF_PI_LOW; the upper part has 33 bits, and its products with integers below 2^20 are exact. */
const HALF_PI_HIGH = 1.5707963267341256;
const HALF_PI_LOW = 6.077100506506192e-11;
/** Beyond, the host's functions take over: they reduce by as many digits of π as it takes. */
const LARGE_ANGLE = 1e6;

const sineSeries = [-1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6];
const cosineSeries = [1 / 479001600, -1 / 3628800, 1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1];

/** sin(x + quarters·π/2) */
const sine = (b: FunctionBody, x: V128, quarters: 0 | 1): Vector => {
  const input = b.let(x);
  const shifted = b.let(f64x2.add(f64x2.mul(input, c64(2 / Math.PI)), c64(ROUNDER)));
  const n = b.let(f64x2.sub(shifted, c64(ROUNDER)));
  const r = b.let(f64x2.sub(f64x2.sub(input, f64x2.mul(n, c64(HALF_PI_HIGH))), f64x2.mul(n, c64(HALF_PI_LOW))));
  const quadrant = quarters === 0 ? shifted : b.let(f64x2.add(shifted, c64(quarters)));
  const square = b.let(f64x2.mul(r, r));
  const sinR = b.let(f64x2.mul(f64x2.add(f64x2.mul(polynomial(b, square, sineSeries), square), c64(1)), r));
  const cosR = polynomial(b, square, cosineSeries);
  // The lowest bit of the quadrant, moved to the sign of 1.
  const isOdd = f64x2.lt(v128.xor(i64x2.shl(quadrant, 63), c64(1)), c64(0));
  const sign = v128.and(i64x2.shl(quadrant, 62), signs64());
  const value = b.let(v128.xor(v128.bitselect(cosR, sinR, isOdd), sign));
  const isLarge = b.let(f64x2.gt(f64x2.abs(input), c64(LARGE_ANGLE)));
  b.if(v128.anyTrue(isLarge), () => {
    const imported = quarters === 0 ? hostSin : hostCos;
    for (const lane of [0, 1])
      b.set(value, f64x2.replaceLane(value, lane, b.call(imported, [f64x2.extractLane(input, lane)])));
  });
  return value;
};

export const sinF64x2 = (b: FunctionBody, x: V128): Vector => sine(b, x, 0);
export const cosF64x2 = (b: FunctionBody, x: V128): Vector => sine(b, x, 1);

/** x^y, as JavaScript's: 1 for y = 0, whatever x is; NaN for a finite x < 0 and a y that is no integer. */
export const powF64x2 = (b: FunctionBody, x: V128, y: V128): Vector => {
  const [base, exponent] = [b.let(x), b.let(y)];
  const magnitude = b.let(f64x2.abs(base));
  const value = expF64x2(b, f64x2.mul(exponent, logF64x2(b, magnitude)));
  const isInteger = b.let(f64x2.eq(f64x2.trunc(exponent), exponent));
  const half = b.let(f64x2.mul(exponent, c64(0.5)));
  const isOdd = v128.and(isInteger, f64x2.ne(f64x2.trunc(half), half));
  b.set(value, v128.xor(value, v128.and(v128.and(base, isOdd), signs64())));
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  const isUndefined = v128.andnot(v128.and(f64x2.lt(base, c64(0)), f64x2.lt(magnitude, c64(inf))), isInteger);
  b.set(value, v128.bitselect(c64(nan), value, isUndefined));
  return b.let(v128.bitselect(c64(1), value, f64x2.eq(exponent, c64(0))));
};

/**
 * e^x of four float32, within 2 ulp over the whole range, subnormal results included: reduction and polynomial of Cephes'
 * expf (S. Moshier). Several times as fast as doubles.
 */
export const expF32x4 = (b: FunctionBody, x: V128): Vector => {
  const c32 = f32x4.const;
  // Where e^x rounds to 0, and to Infinity.
  const clipped = b.let(f32x4.pmin(f32x4.pmax(x, c32(-104)), c32(89)));
  // As ROUNDER, for floats.
  const rounder = 1.5 * 2 ** 23;
  const shifted = b.let(f32x4.add(f32x4.mul(clipped, c32(Math.LOG2E)), c32(rounder)));
  const n = b.let(f32x4.sub(shifted, c32(rounder)));
  const r = b.let(
    f32x4.sub(f32x4.sub(clipped, f32x4.mul(n, c32(0.693359375))), f32x4.mul(n, c32(-2.12194440054690583e-4))),
  );
  const sum = b.let(c32(1.98756911e-4));
  for (const c of [1.39819994e-3, 8.3334519e-3, 4.16657962e-2, 0.166666656, 0.5])
    b.set(sum, f32x4.add(f32x4.mul(sum, r), c32(c)));
  const power = b.let(f32x4.add(f32x4.add(f32x4.mul(sum, f32x4.mul(r, r)), r), c32(1)));
  // 2^n in two steps: one would not do at either end.
  const exponent = b.let(i32x4.sub(shifted, c32(rounder)));
  const half = b.let(i32x4.shrS(exponent, 1));
  const scaleOf = (k: V128): V128 => i32x4.add(i32x4.shl(k, 23), c32(1));
  return b.let(f32x4.mul(f32x4.mul(power, scaleOf(half)), scaleOf(i32x4.sub(exponent, half))));
};
