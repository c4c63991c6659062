/**
 * erf to full double precision: the Maclaurin series with positive terms below 1, Legendre's continued fraction for
 * erfc above (Abramowitz & Stegun 7.1.6 and 7.1.14). e^-x² is taken with the exact square, so that the rounding of
 * x² costs nothing.
 */

/** e^(-x²); x² is split exactly (Dekker 1971). */
const expMinusSquare = (x: number): number => {
  const t = 134217729 * x;
  const high = t - (t - x);
  const low = x - high;
  const square = x * x;
  const error = high * high - square + 2 * high * low + low * low;
  return Math.exp(-square) * (1 - error);
};

const series = (x: number): number => {
  let term = x;
  const terms = [x];
  for (let n = 1; term > x * 1e-18; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    terms.push(term);
  }
  // Smallest first.
  return (2 / Math.sqrt(Math.PI)) * expMinusSquare(x) * terms.reduceRight((sum, t) => sum + t, 0);
};

const complement = (x: number): number => {
  let fraction = x;
  for (let n = 400; n >= 1; n--) fraction = x + n / 2 / fraction;
  return expMinusSquare(x) / (Math.sqrt(Math.PI) * fraction);
};

export const erf = (x: number): number => {
  if (Number.isNaN(x)) return x;
  const magnitude = Math.abs(x);
  const value = magnitude === 0 ? 0 : magnitude < 1 ? series(magnitude) : magnitude > 6 ? 1 : 1 - complement(magnitude);
  return x < 0 || Object.is(x, -0) ? -value : value;
};

/** The distribution function of the standard normal, accurate in the lower tail too. */
export const normalCdf = (x: number): number => {
  const z = x / Math.SQRT2;
  if (z > -1) return 0.5 * (1 + erf(z));
  return z < -27 ? 0 : 0.5 * complement(-z);
};
