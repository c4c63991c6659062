/**
 * Functions of one and two floats that are right on every driver. WGSL lets a driver assume that there is no NaN and no
 * infinity, flush subnormal numbers to zero, and be off by many units in the last place in exp and log; so special
 * values are told apart by their bits, and the functions are made of additions and multiplications, which WGSL demands
 * to be exact to the last place. Errors are 1 to 3 ulp. Infinities and NaN cannot be written as constants either: they
 * are made from an argument.
 */

const sources = {
  magnitude: "fn magnitude(x: f32) -> u32 { return bitcast<u32>(x) & 0x7fffffffu; }",
  isNan: "fn isNan(x: f32) -> bool { return magnitude(x) > 0x7f800000u; }",
  isZero: "fn isZero(x: f32) -> bool { return magnitude(x) == 0u; }",
  isNegative: "fn isNegative(x: f32) -> bool { return (bitcast<u32>(x) >> 31u) == 1u && !isNan(x) && !isZero(x); }",
  nanOf: "fn nanOf(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u); }",
  infinityOf: "fn infinityOf(x: f32) -> f32 { return bitcast<f32>((bitcast<u32>(x) & 0x80000000u) | 0x7f800000u); }",
  withSign:
    "fn withSign(x: f32, s: f32) -> f32 { return bitcast<f32>(magnitude(x) | (bitcast<u32>(s) & 0x80000000u)); }",
  negate: "fn negate(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u); }",
  absolute: "fn absolute(x: f32) -> f32 { return bitcast<f32>(magnitude(x)); }",

  // Integers in the order of the numbers, both zeros 0. NaN lies beyond the infinities.
  order: `fn order(x: f32) -> i32 {
    let b = bitcast<i32>(x);
    return select(b, -(b & 0x7fffffff), b < 0);
  }`,
  lessThan: "fn lessThan(a: f32, b: f32) -> bool { return order(a) < order(b) && !isNan(a) && !isNan(b); }",
  lessEqual: "fn lessEqual(a: f32, b: f32) -> bool { return order(a) <= order(b) && !isNan(a) && !isNan(b); }",
  equal: "fn equal(a: f32, b: f32) -> bool { return order(a) == order(b) && !isNan(a) && !isNan(b); }",
  greater: `fn greater(a: f32, b: f32) -> f32 {
    if (isNan(a)) { return a; }
    return select(a, b, isNan(b) || order(b) > order(a));
  }`,
  lesser: `fn lesser(a: f32, b: f32) -> f32 {
    if (isNan(a)) { return a; }
    return select(a, b, isNan(b) || order(b) < order(a));
  }`,
  relu: "fn relu(x: f32) -> f32 { return select(x, 0.0, isNegative(x)); }",
  sign: `fn signOf(x: f32) -> f32 {
    if (isNan(x)) { return x; }
    return select(select(1.0, -1.0, isNegative(x)), 0.0, isZero(x));
  }`,

  // The driver's floor works on numbers that it may have flushed.
  floor: `fn floorOf(x: f32) -> f32 {
    if (magnitude(x) >= 0x4b000000u || isZero(x)) { return x; }
    if (magnitude(x) < 0x3f800000u) { return select(0.0, -1.0, isNegative(x)); }
    return floor(x);
  }`,
  ceil: "fn ceilOf(x: f32) -> f32 { return negate(floorOf(negate(x))); }",
  round: `fn roundOf(x: f32) -> f32 {
    if (magnitude(x) >= 0x4b000000u) { return x; }
    if (magnitude(x) <= 0x3f000000u) { return withSign(0.0, x); }
    return round(x);
  }`,

  // 2^n for n in [-126, 127].
  powerOf2: "fn powerOf2(n: i32) -> f32 { return bitcast<f32>(u32(n + 127) << 23u); }",
  // m·2^n for n in [-252, 254].
  scale: "fn scale(m: f32, n: i32) -> f32 { let half = n >> 1u; return m * powerOf2(half) * powerOf2(n - half); }",
  // A finite x, not 0, is significand(x)·2^exponentOf(x) with 1 <= |significand| < 2, if it is subnormal too.
  exponentOf: `fn exponentOf(x: f32) -> i32 {
    let m = magnitude(x);
    if (m >= 0x00800000u) { return i32(m >> 23u) - 127; }
    return i32(firstLeadingBit(m)) - 149;
  }`,
  significand: `fn significand(x: f32) -> f32 {
    let m = magnitude(x);
    if (m >= 0x00800000u) { return bitcast<f32>((bitcast<u32>(x) & 0x807fffffu) | 0x3f800000u); }
    let shift = 23u - firstLeadingBit(m);
    return bitcast<f32>((bitcast<u32>(x) & 0x80000000u) | ((m << shift) & 0x007fffffu) | 0x3f800000u);
  }`,
  isSubnormal: "fn isSubnormal(x: f32) -> bool { return !isZero(x) && magnitude(x) < 0x00800000u; }",

  multiply: `fn multiply(a: f32, b: f32) -> f32 {
    let product = a * b;
    // Only a product that is 0 or NaN can be the work of a flushed operand.
    if (magnitude(product) - 1u < 0x7f800000u || isZero(a) || isZero(b)) { return product; }
    if (isNan(a) || isNan(b)) { return nanOf(a); }
    if (magnitude(a) == 0x7f800000u || magnitude(b) == 0x7f800000u) {
      return infinityOf(bitcast<f32>(bitcast<u32>(a) ^ bitcast<u32>(b)));
    }
    return scale(significand(a) * significand(b), max(exponentOf(a) + exponentOf(b), -252));
  }`,
  divide: `fn divide(a: f32, b: f32) -> f32 {
    let ma = magnitude(a);
    let mb = magnitude(b);
    // Exponents for which nothing can overflow, underflow or be flushed.
    if (ma - 0x20000000u < 0x3f000000u && mb - 0x20000000u < 0x3f000000u) { return a / b; }
    if (isNan(a) || isNan(b) || (ma == 0u && mb == 0u) || (ma == 0x7f800000u && mb == 0x7f800000u)) { return nanOf(a); }
    let s = bitcast<f32>(bitcast<u32>(a) ^ bitcast<u32>(b));
    if (ma == 0x7f800000u || mb == 0u) { return infinityOf(s); }
    if (mb == 0x7f800000u || ma == 0u) { return withSign(0.0, s); }
    let exponent = exponentOf(a) - exponentOf(b);
    if (exponent > 130) { return infinityOf(s); }
    return scale(significand(a) / significand(b), max(exponent, -252));
  }`,
  sqrt: `fn sqrtOf(x: f32) -> f32 {
    if (isNan(x) || isZero(x) || bitcast<u32>(x) == 0x7f800000u) { return x; }
    if (isNegative(x)) { return nanOf(x); }
    if (isSubnormal(x)) { return sqrt(f32(magnitude(x) * 2u)) * powerOf2(-75); }
    return sqrt(x);
  }`,
  rsqrt: `fn rsqrtOf(x: f32) -> f32 {
    if (isNan(x)) { return x; }
    if (isZero(x)) { return infinityOf(x); }
    if (isNegative(x)) { return nanOf(x); }
    if (bitcast<u32>(x) == 0x7f800000u) { return 0.0; }
    if (isSubnormal(x)) { return powerOf2(75) / sqrt(f32(magnitude(x) * 2u)); }
    return 1.0 / sqrt(x);
  }`,
  reciprocal: "fn reciprocal(x: f32) -> f32 { return divide(1.0, x); }",

  // e^r - 1 for |r| <= ln(2)/2; the polynomial of Cephes' expf.
  expm1Reduced: `fn expm1Reduced(r: f32) -> f32 {
    let q = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r + 1.6666665459e-1) * r + 5.0000001201e-1;
    return q * r * r + r;
  }`,
  // x - n·ln(2), ln(2) in two parts of which the first times n is exact.
  reduceLn2: "fn reduceLn2(x: f32, n: f32) -> f32 { return (x - n * 0.693145751953125) - n * 1.42860677e-6; }",
  exp: `fn expOf(x: f32) -> f32 {
    if (isNan(x)) { return x; }
    if (order(x) > 0x42b17218) { return infinityOf(absolute(x)); }
    if (order(x) < -0x42cff1b5) { return 0.0; }
    let n = round(x * 1.44269504);
    return scale(expm1Reduced(reduceLn2(x, n)) + 1.0, i32(n));
  }`,
  expm1: `fn expm1Of(x: f32) -> f32 {
    if (isNan(x) || isZero(x) || isSubnormal(x)) { return x; }
    if (order(x) > 0x41880000) { return expOf(x); }
    if (order(x) < -0x41880000) { return -1.0; }
    let n = round(x * 1.44269504);
    let q = expm1Reduced(reduceLn2(x, n));
    let t = powerOf2(i32(n));
    if (n == 0.0) { return q; }
    if (n > 0.0) { return t * (q + (1.0 - powerOf2(-i32(n)))); }
    return t * q + (t - 1.0);
  }`,
  // log(1 + f) + k·ln(2), f in [sqrt(1/2) - 1, sqrt(2) - 1]; FreeBSD's e_logf.c.
  logReduced: `fn logReduced(f: f32, k: f32) -> f32 {
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let r = w * (0.40000972152 + w * 0.24279078841) + z * (0.66666662693 + w * 0.28498786688);
    let h = 0.5 * f * f;
    return s * (h + r) + k * 9.0580006145e-6 - h + f + k * 0.69313812256;
  }`,
  log: `fn logOf(x: f32) -> f32 {
    if (isNan(x) || bitcast<u32>(x) == 0x7f800000u) { return x; }
    if (isZero(x)) { return bitcast<f32>(magnitude(x) | 0xff800000u); }
    if (isNegative(x)) { return nanOf(x); }
    let shifted = bitcast<u32>(significand(x)) + (0x3f800000u - 0x3f3504f3u);
    let k = exponentOf(x) + i32(shifted >> 23u) - 127;
    return logReduced(bitcast<f32>((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0, f32(k));
  }`,
  log1p: `fn log1pOf(x: f32) -> f32 {
    if (isNan(x) || magnitude(x) < 0x33000000u) { return x; }
    if (order(x) > -0x3e950000 && order(x) < 0x3ed413d0) { return logReduced(x, 0.0); }
    return logOf(1.0 + x);
  }`,
  tanh: `fn tanhOf(x: f32) -> f32 {
    if (isNan(x) || magnitude(x) < 0x39800000u) { return x; }
    if (magnitude(x) > 0x41180000u) { return withSign(1.0, x); }
    let t = expm1Of(2.0 * absolute(x));
    return withSign(select(1.0 - 2.0 / (t + 2.0), t / (t + 2.0), t < 2.0), x);
  }`,
  sigmoid: `fn sigmoidOf(x: f32) -> f32 {
    if (isNan(x)) { return x; }
    let e = expOf(-absolute(x));
    return select(1.0, e, isNegative(x)) / (1.0 + e);
  }`,
  // N. Juffa's polynomials: below 1 ulp.
  erf: `fn erfOf(x: f32) -> f32 {
    if (isNan(x)) { return x; }
    let t = absolute(x);
    if (magnitude(x) > 0x40800000u) { return withSign(1.0, x); }
    let s = x * x;
    if (t > 0.927734375) {
      var r = -1.72853470e-5 * t + 3.83197126e-4;
      let u = -3.88396438e-3 * t + 2.42546219e-2;
      r = r * s + u;
      r = r * t - 1.06777877e-1;
      r = r * t - 6.34846687e-1;
      r = r * t - 1.28717512e-1;
      return withSign(1.0 - expOf(r * t - t), x);
    }
    var r = -5.96761703e-4;
    r = r * s + 4.99119423e-3;
    r = r * s - 2.67681349e-2;
    r = r * s + 1.12819925e-1;
    r = r * s - 3.76125336e-1;
    r = r * s + 1.28379166e-1;
    return r * x + x;
  }`,
  // Quarter turns; the parts of pi/2 are Cephes'. Beyond 8192 the driver's own, as exact as WGSL asks for.
  reduceTurns:
    "fn reduceTurns(x: f32, n: f32) -> f32 { return ((x - n * 1.5703125) - n * 4.837512969970703e-4) - n * 7.549789948768648e-8; }",
  sineReduced:
    "fn sineReduced(r: f32) -> f32 { let z = r * r; return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r; }",
  cosineReduced:
    "fn cosineReduced(r: f32) -> f32 { let z = r * r; return ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0; }",
  wave: `fn wave(r: f32, quarter: i32) -> f32 {
    let value = select(sineReduced(r), cosineReduced(r), (quarter & 1) == 1);
    return select(value, -value, (quarter & 2) == 2);
  }`,
  sin: `fn sinOf(x: f32) -> f32 {
    if (magnitude(x) >= 0x7f800000u) { return nanOf(x); }
    if (magnitude(x) < 0x39800000u) { return x; }
    if (magnitude(x) > 0x46000000u) { return sin(x); }
    let n = round(x * 0.636619747);
    return wave(reduceTurns(x, n), i32(n));
  }`,
  cos: `fn cosOf(x: f32) -> f32 {
    if (magnitude(x) >= 0x7f800000u) { return nanOf(x); }
    if (magnitude(x) > 0x46000000u) { return cos(x); }
    let n = round(x * 0.636619747);
    return wave(reduceTurns(x, n), i32(n) + 1);
  }`,
  pow: `fn powOf(a: f32, b: f32) -> f32 {
    if (isZero(b)) { return 1.0; }
    if (isNan(a) || isNan(b)) { return nanOf(a); }
    if (b == 1.0) { return a; }
    if (b == 2.0) { return a * a; }
    let base = absolute(a);
    let integer = magnitude(b) >= 0x3f800000u && (magnitude(b) >= 0x4b000000u || floor(b) == b);
    let odd = integer && magnitude(b) < 0x4b800000u && (i32(absolute(b)) & 1) == 1;
    var result: f32;
    if (isZero(a) || magnitude(a) == 0x7f800000u || magnitude(b) == 0x7f800000u) {
      let grows = (order(base) > 0x3f800000) != isNegative(b);
      result = select(0.0, infinityOf(absolute(b)), grows);
    } else {
      if (isNegative(a) && !integer) { return nanOf(a); }
      result = expOf(b * logOf(base));
    }
    return select(result, negate(result), odd && (bitcast<u32>(a) >> 31u) == 1u);
  }`,

  gelu: "fn gelu(x: f32) -> f32 { return 0.5 * x * (1.0 + erfOf(x * 0.70710678)); }",
  softplus: "fn softplus(x: f32) -> f32 { if (isNan(x)) { return x; } return relu(x) + log1pOf(expOf(-absolute(x))); }",
} as const;

export type MathFunction = keyof typeof sources;

/** What each function is called in WGSL, where that is not its key: names of built-in functions are taken. */
const declared: ReadonlyMap<string, MathFunction> = new Map(
  (Object.keys(sources) as MathFunction[]).map((key) => [/fn (\w+)/.exec(sources[key])?.[1] as string, key]),
);

/** Declarations of all functions that `code` calls, and that these call. */
export const mathFor = (code: string): string => {
  const needed = new Set<MathFunction>();
  const visit = (source: string): void => {
    for (const [name] of source.matchAll(/\w+(?=\()/g)) {
      const key = declared.get(name);
      if (key === undefined || needed.has(key)) continue;
      needed.add(key);
      visit(sources[key]);
    }
  };
  visit(code);
  return [...needed].map((key) => sources[key]).join("\n");
};
