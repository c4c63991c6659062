const ascii = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));

/** SHORT_BINSTRING: Python 2's str. */
export const str = (text: string): number[] => [0x55, text.length, ...ascii(text)];
/** BINUNICODE */
export const unicode = (text: string): number[] => {
  const { length } = text;
  return [0x58, length & 0xff, (length >> 8) & 0xff, (length >> 16) & 0xff, length >>> 24, ...ascii(text)];
};
/** GLOBAL */
export const global = (module: string, name: string): number[] => ascii(`c${module}\n${name}\n`);

const uint32 = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];
/** BININT */
export const int = (n: number): number[] => [0x4a, ...uint32(n)];
/** MARK … TUPLE */
export const tuple = (...items: readonly (readonly number[])[]): number[] => [0x28, ...items.flat(), 0x74];
export const call = (module: string, name: string, ...args: readonly (readonly number[])[]): number[] => [
  ...global(module, name),
  ...tuple(...args),
  0x52,
];
const emptyDict = call("collections", "OrderedDict");

export interface PickledTensor {
  readonly storage?: string;
  readonly key?: string;
  readonly count?: number;
  readonly offset?: number;
  readonly shape?: readonly number[];
  readonly stride?: readonly number[];
  readonly hooks?: readonly number[];
  readonly more?: readonly (readonly number[])[];
}

/** A tensor as torch.save writes it; by default two floats. */
export const torchTensor = ({
  storage = "FloatStorage",
  key = "0",
  count = 2,
  offset = 0,
  shape = [2],
  stride = [1],
  hooks = emptyDict,
  more = [],
}: PickledTensor = {}): number[] => [
  ...call(
    "torch._utils",
    "_rebuild_tensor_v2",
    [...tuple(unicode("storage"), global("torch", storage), unicode(key), unicode("cpu"), int(count)), 0x51],
    int(offset),
    tuple(...shape.map(int)),
    tuple(...stride.map(int)),
    [0x89],
    hooks,
    ...more,
  ),
];

/** {name: value} of opcodes, whole. */
export const dictPickle = (items: Readonly<Record<string, readonly number[]>>): Uint8Array =>
  Uint8Array.from(
    [0x80, 2].concat(
      0x7d,
      Object.entries(items).flatMap(([name, value]) => [...unicode(name), ...value, 0x73]),
      0x2e,
    ),
  );
