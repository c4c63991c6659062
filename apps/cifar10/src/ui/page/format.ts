/** Figures as people read them; the same on the page and in the report. */

const missing = "–";

const orMissing =
  (format: (value: number) => string) =>
  (value: number | null | undefined): string =>
    value === null || value === undefined || !Number.isFinite(value) ? missing : format(value);

/** 0.7243 as 72.43 %. */
export const percent = orMissing((share) => `${(100 * share).toFixed(2)} %`);

/** 0.7243 as 72.4 %, 0.7 as 70 %: for axes. */
export const roundPercent = orMissing((share) => `${Number((100 * share).toPrecision(3))} %`);

/** Of a guess: 0.7243 as 72.4 %, 0.7 as 70.0 %, 0.00001 as < 0.1 %. */
export const probability = orMissing((share) =>
  share > 0 && share < 0.0005 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`,
);

/** Four significant digits, without an exponent where that is readable. */
export const decimal = orMissing((value) => {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential(3) : `${Number(value.toPrecision(4))}`;
});

/** 12345.6 as 12,346. */
export const whole = orMissing((value) => `${Math.round(value)}`.replace(/\B(?=(\d{3})+$)/g, ","));

/** Seconds as 7.3 s, 12:34 or 1:02:03. */
export const duration = orMissing((seconds) => {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const all = Math.round(seconds);
  const two = (n: number): string => `${n}`.padStart(2, "0");
  const minutes = Math.floor(all / 60);
  return minutes < 60
    ? `${minutes}:${two(all % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(all % 60)}`;
});
