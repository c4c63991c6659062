import { checkedAddress, expectCount, type RandomAddress } from "./address.js";
import { keyOf, philox4x32 } from "./philox.js";

type FloatArray = Float32Array | Float64Array;

/** Four numbers from each four words of the address, so that a large tensor needs no array of words beside it. */
const fillByFours = (
  op: string,
  values: FloatArray,
  address: RandomAddress,
  four: (words: Uint32Array, out: Float64Array) => void,
): void => {
  const { seed, stream, offset } = checkedAddress(op, address);
  expectCount(op, values.length);
  const key = keyOf(seed);
  const words = new Uint32Array(4);
  const numbers = new Float64Array(4);
  for (let at = 0, block = 0; at < values.length; at += 4, block++) {
    philox4x32([block, offset, stream, 0], key, words);
    four(words, numbers);
    const end = Math.min(4, values.length - at);
    for (let i = 0; i < end; i++) values[at + i] = numbers[i] as number;
  }
};

/**
 * Fill with independent numbers, uniform in [low, high), on a grid of 2^24 points that [0, 1) has in float32 too: both
 * dtypes get the same numbers, but for rounding (which may reach `high` where it is not 1). A function of the address alone.
 */
export const fillUniform = (values: FloatArray, address: RandomAddress, low = 0, high = 1): void =>
  fillByFours("fillUniform", values, address, (words, out) => {
    for (let i = 0; i < 4; i++) out[i] = low + (((words[i] as number) >>> 8) / 2 ** 24) * (high - low);
  });

/** Fill with independent normal numbers (Box and Muller 1958: two words, two numbers). A function of the address alone. */
export const fillNormal = (values: FloatArray, address: RandomAddress, mean = 0, std = 1): void =>
  fillByFours("fillNormal", values, address, (words, out) => {
    for (let i = 0; i < 4; i += 2) {
      // The middle of a word's interval is never 0, where the logarithm ends.
      const radius = std * Math.sqrt(-2 * Math.log(((words[i] as number) + 0.5) / 2 ** 32));
      const angle = 2 * Math.PI * (((words[i + 1] as number) + 0.5) / 2 ** 32);
      out[i] = mean + radius * Math.cos(angle);
      out[i + 1] = mean + radius * Math.sin(angle);
    }
  });
