/**
 * The error function in double precision, relative error below 1e-15, by the rational approximations of
 * W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), 631-637.
 */

// Numerators and denominators, highest power first. A/B: erf(x)/x in x², |x| <= 0.46875.
// C/D: e^(x²) erfc(x) in x, up to 4. P/Q: x² (1/√π - x e^(x²) erfc(x)) in 1/x², beyond.
const [A0, A1, A2, A3, A4] = [
  1.85777706184603153e-1, 3.1611237438705656, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3,
] as const;
const [B1, B2, B3, B4] = [
  2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3,
] as const;
const [C0, C1, C2, C3, C4, C5, C6, C7, C8] = [
  2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
  8.8195222124176909e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
] as const;
const [D1, D2, D3, D4, D5, D6, D7, D8] = [
  1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3, 3.29079923573345963e3,
  4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
] as const;
const [P0, P1, P2, P3, P4, P5] = [
  1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
  1.60837851487422766e-2, 6.58749161529837803e-4,
] as const;
const [Q1, Q2, Q3, Q4, Q5] = [
  2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3,
] as const;

/** erf(x), |x| <= 0.46875. */
const erfCentre = (x: number): number => {
  const s = x * x;
  const numerator = (((A0 * s + A1) * s + A2) * s + A3) * s + A4;
  return (x * numerator) / ((((s + B1) * s + B2) * s + B3) * s + B4);
};

/** erfc(x), x > 0.46875. */
const erfcTail = (x: number): number => {
  let scaled: number;
  if (x <= 4) {
    const numerator = (((((((C0 * x + C1) * x + C2) * x + C3) * x + C4) * x + C5) * x + C6) * x + C7) * x + C8;
    scaled = numerator / ((((((((x + D1) * x + D2) * x + D3) * x + D4) * x + D5) * x + D6) * x + D7) * x + D8);
  } else {
    const s = 1 / (x * x);
    const numerator = ((((P0 * s + P1) * s + P2) * s + P3) * s + P4) * s + P5;
    const tail = (s * numerator) / (((((s + Q1) * s + Q2) * s + Q3) * s + Q4) * s + Q5);
    scaled = (1 / Math.sqrt(Math.PI) - tail) / x;
  }
  return Math.exp(-x * x) * scaled;
};

export const erf = (x: number): number => {
  if (x > 0.46875) return 1 - erfcTail(x);
  if (x < -0.46875) return erfcTail(-x) - 1;
  return erfCentre(x);
};

/** 1 - erf(x), without the cancellation at large x. */
export const erfc = (x: number): number => {
  if (x > 0.46875) return erfcTail(x);
  if (x < -0.46875) return 2 - erfcTail(-x);
  return 1 - erfCentre(x);
};
