import type { Tensor } from "@striate/core";
import { quote } from "./errors.js";
import { formatShape, type HostTensor, type SafetensorsDType } from "./host-tensor.js";
import { nearestName } from "./nearest-name.js";
import { infoOf } from "./state-dict.js";
import type { TensorInfo } from "./tensor-reader.js";

/** A state by name: `net.stateDict()`, the tensors of a file, or what a file says of them. */
export type NamedInfos = Iterable<readonly [string, Tensor | HostTensor | TensorInfo]>;

export interface Mismatch {
  readonly name: string;
  readonly given: TensorInfo;
  readonly expected: TensorInfo;
}

/** How a state differs from what a module expects. */
export interface StateDifference {
  /** Expected, not given. */
  readonly missing: readonly string[];
  /** Given, not expected. */
  readonly unexpected: readonly string[];
  /** In both, of another shape, or of a dtype whose values the expected one cannot take over. */
  readonly mismatched: readonly Mismatch[];
}

const kinds: Readonly<Record<SafetensorsDType, string>> = {
  F64: "float",
  F32: "float",
  BF16: "float",
  F16: "float",
  I64: "integer",
  U64: "integer",
  I32: "integer",
  U32: "integer",
  I16: "integer",
  U16: "integer",
  I8: "integer",
  U8: "integer",
  BOOL: "bool",
};

/** Floats go into float32 and float64, integers into int32 (where they are small enough); the rest as it is. */
const fits = (given: TensorInfo, expected: TensorInfo): boolean =>
  given.shape.length === expected.shape.length &&
  given.shape.every((n, axis) => n === expected.shape[axis]) &&
  (given.dtype === expected.dtype ||
    (kinds[given.dtype] === kinds[expected.dtype] && ["F64", "F32", "I32"].includes(expected.dtype)));

const infos = (state: NamedInfos): Map<string, TensorInfo> =>
  new Map([...state].map(([name, value]) => [name, infoOf(value)]));

/** Compares a state with what a module expects: `stateDifference(net.stateDict(), file.tensors)`. */
export const stateDifference = (expected: NamedInfos, given: NamedInfos): StateDifference => {
  const wanted = infos(expected);
  const offered = infos(given);
  return {
    missing: [...wanted.keys()].filter((name) => !offered.has(name)),
    unexpected: [...offered.keys()].filter((name) => !wanted.has(name)),
    mismatched: [...wanted].flatMap(([name, info]) => {
      const found = offered.get(name);
      return found === undefined || fits(found, info) ? [] : [{ name, given: found, expected: info }];
    }),
  };
};

const shown = 20;
const hinted = 5;

const list = <T>(items: readonly T[], text: (item: T, index: number) => string): string =>
  items.slice(0, shown).map(text).join(", ") + (items.length > shown ? ` and ${items.length - shown} more` : "");

/** A prefix is a few words; and for a hint thousands of names need not be looked at. */
const longestPrefix = 120;
const mostNames = 1000;

/** What stands before every one of `names` when the rest of each is to be found among the others; undefined if nothing. */
const commonPrefix = (names: readonly string[], others: readonly string[]): string | undefined => {
  const rests = new Set(others);
  const some = names.slice(0, mostNames);
  const [first = ""] = names;
  for (let dot = first.indexOf("."); dot >= 0 && dot < longestPrefix; dot = first.indexOf(".", dot + 1)) {
    const prefix = first.slice(0, dot + 1);
    if (names.every((name) => name.startsWith(prefix)) && some.some((name) => rests.has(name.slice(prefix.length))))
      return prefix;
  }
  return undefined;
};

const describe = ({ dtype, shape }: TensorInfo): string => `${dtype} ${formatShape(shape)}`;

/** A difference as lines of text, with guesses at what was meant; empty where there is none. */
export const formatDifference = ({ missing, unexpected, mismatched }: StateDifference): string => {
  const lines: string[] = [];
  const surplus = commonPrefix(unexpected, missing);
  const lacking = commonPrefix(missing, unexpected);
  const guess = (name: string, index: number): string => {
    if (index >= hinted || surplus !== undefined || lacking !== undefined) return quote(name);
    const nearest = nearestName(name, unexpected);
    return nearest === undefined ? quote(name) : `${quote(name)} (is it ${quote(nearest)}?)`;
  };
  if (missing.length > 0) lines.push(`${missing.length} missing: ${list(missing, guess)}`);
  if (unexpected.length > 0) lines.push(`${unexpected.length} unexpected: ${list(unexpected, quote)}`);
  for (const { name, given, expected } of mismatched.slice(0, shown))
    lines.push(`${quote(name)} is ${describe(given)}, expected ${describe(expected)}`);
  if (mismatched.length > shown) lines.push(`and ${mismatched.length - shown} more of another shape or dtype`);
  if (surplus !== undefined)
    lines.push(`the unexpected names begin with ${quote(surplus)}: { prefix: ${quote(surplus)} } takes it away`);
  else if (lacking !== undefined)
    lines.push(
      `the missing names begin with ${quote(lacking)}: { rename: (name) => ${quote(lacking)} + name } adds it`,
    );
  return lines.join("\n");
};
