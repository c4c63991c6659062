/**
 * What may be made, in bytes, of the part of a file that says what the rest is, before it is refused: 8 MiB, which is
 * less than Node's own memory wavers by, and a quarter of the rest. A byte of a pickle makes an empty dict, which takes
 * two hundred; but the description of honest tensors is small beside their elements.
 */
export const memoryFor = (restBytes: number): number => 2 ** 23 + Math.floor(restBytes / 4);

/** Counts down from `limit` bytes, and calls `exceeded` for the error to throw. */
export const memoryAccount = (limit: number, exceeded: () => Error): ((bytes: number) => void) => {
  let left = limit;
  return (bytes) => {
    left -= bytes;
    if (left < 0) throw exceeded();
  };
};
