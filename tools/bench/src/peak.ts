/** The machine's own 128-bit SIMD peak, by the micro-kernel of @striate/backend-wasm. */
import { createPeakProbe } from "@striate/backend-wasm/peak";

/** Floating-point operations a second of one thread, as of now. */
export type Peak = () => number;

/** Seconds until V8 has compiled the kernel for speed. */
const SETTLING = 0.3;
/** Seconds of a measurement. */
const PERIOD = 0.1;

/**
 * `now` in seconds.
 * @throws UnsupportedError where the engine has no WebAssembly SIMD
 */
export const createPeak = (now: () => number): Peak => {
  const { flop, run } = createPeakProbe();
  const measure = (period: number): number => {
    const start = now();
    let elapsed = 0;
    let runs = 0;
    do {
      run();
      runs++;
      elapsed = now() - start;
    } while (elapsed < period);
    return (flop * runs) / elapsed;
  };
  measure(SETTLING);
  return () => measure(PERIOD);
};
