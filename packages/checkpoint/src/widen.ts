/** IEEE 754 binary16 bits, widened exactly; NaN stays NaN, with its payload. */
export const float16ToFloat32 = (bits: Uint16Array): Float32Array<ArrayBuffer> => {
  const values = new Float32Array(bits.length);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i] as number;
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) values[i] = (sign === 0 ? fraction : -fraction) * 2 ** -24;
    else words[i] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
  }
  return values;
};

/** bfloat16 bits (the upper half of a float32), widened exactly; NaN stays NaN, with its payload. */
export const bfloat16ToFloat32 = (bits: Uint16Array): Float32Array<ArrayBuffer> => {
  const values = new Float32Array(bits.length);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16;
  return values;
};
