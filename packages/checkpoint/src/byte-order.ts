/** Files are little-endian; so is every host with a browser or a GPU, but not every host of Node. */
export const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A copy with the bytes of every element in the opposite order. */
export const reverseElements = (bytes: Uint8Array, elementSize: number): Uint8Array<ArrayBuffer> => {
  const reversed = new Uint8Array(bytes);
  for (let at = 0; at < reversed.length; at += elementSize) reversed.subarray(at, at + elementSize).reverse();
  return reversed;
};

/** From the host's byte order to little-endian, or back, which is the same step. No copy unless they differ. */
export const swapToLittleEndian = (bytes: Uint8Array, elementSize: number): Uint8Array =>
  hostIsLittleEndian ? bytes : reverseElements(bytes, elementSize);
