import { type CheckpointError, quote } from "./errors.js";
import { maxRank } from "./host-tensor.js";

const loneSurrogate = /\p{Surrogate}/u;

const maxDepth = 64;

/** False for text with half a surrogate pair, which UTF-8 cannot hold. */
export const isWellFormed = (text: string): boolean => !loneSurrogate.test(text);

/** A place in a text of JSON, and what may be read from there. Every function throws where something else stands. */
export interface JsonReader {
  string(): string;
  /** An integer from 0 to 2^53 - 1, without sign, fraction or exponent. */
  count(): number;
  /** As many as a shape may have. */
  counts(): number[];
  /** An object: `member` reads each value. `what` names it where a key is there twice. */
  members(what: string, member: (key: string) => void): void;
  /** Passes over any value, of up to 64 brackets within each other, and keeps nothing of it. */
  skip(): void;
  /** Nothing but white space may follow. */
  end(): void;
  expectBrace(): void;
}

/**
 * Reads JSON by the grammar of who asks. `JSON.parse` would drop duplicate keys, round large integers, take 1e3 or -0
 * for a dimension and change the order of names like "0".
 */
export const jsonReader = (text: string, corrupt: (message: string) => CheckpointError): JsonReader => {
  let at = 0;
  const unexpected = (expected: string): CheckpointError => {
    const found = at < text.length ? quote(text.slice(at, at + 20)) : "its end";
    return corrupt(`expected ${expected} at character ${at}, found ${found}`);
  };

  const skipSpace = (): void => {
    while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++;
  };
  const take = (character: string): boolean => {
    skipSpace();
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const expect = (character: string): void => {
    if (!take(character)) throw unexpected(quote(character));
  };

  const string = (): string => {
    skipSpace();
    if (text[at] !== '"') throw unexpected("a string");
    let end = at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    let value: unknown;
    try {
      value = JSON.parse(text.slice(at, end + 1));
    } catch {
      throw unexpected("a string of JSON");
    }
    if (!isWellFormed(value as string)) throw unexpected("a string of whole characters");
    at = end + 1;
    return value as string;
  };

  const digits = /(?:0|[1-9]\d{0,15})(?![\d.eE])/y;
  const count = (): number => {
    skipSpace();
    digits.lastIndex = at;
    const value = Number(digits.exec(text)?.[0]);
    if (!Number.isSafeInteger(value)) throw unexpected("an integer from 0 to 2^53 - 1");
    at = digits.lastIndex;
    return value;
  };
  const counts = (): number[] => {
    const values: number[] = [];
    expect("[");
    if (take("]")) return values;
    do {
      if (values.length === maxRank) throw unexpected(`at most ${maxRank} integers`);
      values.push(count());
    } while (take(","));
    expect("]");
    return values;
  };

  const members = (what: string, member: (key: string) => void): void => {
    const keys = new Set<string>();
    expect("{");
    if (take("}")) return;
    do {
      const key = string();
      if (keys.has(key)) throw corrupt(`${what} has the key ${quote(key)} twice`);
      keys.add(key);
      expect(":");
      member(key);
    } while (take(","));
    expect("}");
  };

  const literal = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![^\s,\]}])/y;
  const skip = (depth = 0): void => {
    if (depth > maxDepth) throw unexpected(`at most ${maxDepth} brackets within each other`);
    skipSpace();
    if (text[at] === '"') string();
    else if (text[at] === "{") members("an object", () => skip(depth + 1));
    else if (take("[")) {
      if (take("]")) return;
      do skip(depth + 1);
      while (take(","));
      expect("]");
    } else {
      literal.lastIndex = at;
      const found = literal.exec(text);
      if (found === null) throw unexpected("a value of JSON");
      at += found[0].length;
    }
  };

  return {
    string,
    count,
    counts,
    members,
    skip: () => skip(),
    end: () => {
      skipSpace();
      if (at < text.length) throw unexpected("nothing more");
    },
    expectBrace: () => {
      if (text[at] !== "{") throw unexpected('"{"');
    },
  };
};
