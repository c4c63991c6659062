const ascii = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));
const uint32 = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];

/** SHORT_BINSTRING: Python 2's str. */
export const str = (text: string): number[] => [0x55, text.length, ...ascii(text)];
export const global = (module: string, name: string): number[] => ascii(`c${module}\n${name}\n`);
export const uint16 = (n: number): number[] => [0x4d, n & 0xff, n >> 8];

/** What comes before and after the bytes of a uint8 array, as Python 2's cPickle writes it (protocol 2, no memo). */
const arrayParts = (shape: readonly [number, number], size: number): [before: number[], after: number[]] => [
  [
    ...global("numpy.core.multiarray", "_reconstruct"),
    ...global("numpy", "ndarray"),
    ...[0x4b, 0, 0x85, ...str("b"), 0x87, 0x52], // _reconstruct(ndarray, (0,), 'b')
    ...[0x28, 0x4b, 1, ...uint16(shape[0]), ...uint16(shape[1]), 0x86], // state: version, shape
    ...global("numpy", "dtype"),
    ...[...str("u1"), 0x4b, 0, 0x4b, 1, 0x87, 0x52], // dtype('u1', 0, 1)
    ...[
      0x28,
      0x4b,
      3,
      ...str("|"),
      0x4e,
      0x4e,
      0x4e,
      0x4a,
      ...uint32(0xffffffff),
      0x4a,
      ...uint32(0xffffffff),
      0x4b,
      0,
    ],
    ...[0x74, 0x62], // its state
    ...[0x89, 0x54, ...uint32(size)], // not Fortran order; BINSTRING
  ],
  [0x74, 0x62],
];

/** A file of cifar-10-batches-py: dict of batch_label, labels, data, filenames. */
export const pickledBatch = (images: Uint8Array, labels: ArrayLike<number>): Uint8Array => {
  const [before, after] = arrayParts([labels.length, images.length / labels.length], images.length);
  const head = [
    ...[0x80, 2, 0x7d, 0x28, ...str("batch_label"), ...str("training batch 1 of 5")],
    ...[...str("labels"), 0x5d, 0x28, ...Array.from(labels).flatMap((label) => [0x4b, label]), 0x65],
    ...[...str("data"), ...before],
  ];
  const names = Array.from(labels).flatMap((_, i) => str(`image_${i}.png`));
  const tail = [...after, ...str("filenames"), 0x5d, 0x28, ...names, 0x65, 0x75, 0x2e];
  const bytes = new Uint8Array(head.length + images.length + tail.length);
  bytes.set(head);
  bytes.set(images, head.length);
  bytes.set(tail, head.length + images.length);
  return bytes;
};
