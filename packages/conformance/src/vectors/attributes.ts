/** Reads JSON that a file from outside holds. Every getter throws `VectorFormatError` for what it cannot take. */
import { VectorFormatError } from "./safetensors.js";

export type Json = unknown;

const show = (value: Json): string => JSON.stringify(value) ?? "nothing";

const wrong = (where: string, value: Json, expected: string): VectorFormatError =>
  new VectorFormatError(`${where} is ${show(value)}, expected ${expected}`);

export const record = (where: string, value: Json): Readonly<Record<string, Json>> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(where, value, "an object");
  return value as Readonly<Record<string, Json>>;
};

export const list = (where: string, value: Json): readonly Json[] => {
  if (!Array.isArray(value)) throw wrong(where, value, "a list");
  return value as readonly Json[];
};

export const text = (where: string, value: Json): string => {
  if (typeof value !== "string") throw wrong(where, value, "a string");
  return value;
};

export const number = (where: string, value: Json): number => {
  if (typeof value !== "number") throw wrong(where, value, "a number");
  return value;
};

export const numbers = (where: string, value: Json): readonly number[] =>
  list(where, value).map((item, i) => number(`${where}[${i}]`, item));

export const texts = (where: string, value: Json): readonly string[] =>
  list(where, value).map((item, i) => text(`${where}[${i}]`, item));

/** The attributes of one case, in PyTorch's names and forms: a pair may be one number, a missing one its default. */
export interface Attributes {
  has(name: string): boolean;
  number(name: string, otherwise: number): number;
  flag(name: string, otherwise: boolean): boolean;
  text<T extends string>(name: string, allowed: readonly T[], otherwise: T): T;
  pair(name: string, otherwise: number): readonly [number, number];
  numbers(name: string): readonly number[];
  /** One axis or several; undefined for all. */
  dims(name: string): number | readonly number[] | undefined;
}

export const attributes = (where: string, values: Readonly<Record<string, Json>>): Attributes => {
  const at = (name: string): string => `${where}: ${name}`;
  const given = (name: string): Json => values[name] ?? undefined;
  return {
    has: (name) => given(name) !== undefined,
    number: (name, otherwise) => (given(name) === undefined ? otherwise : number(at(name), given(name))),
    flag: (name, otherwise) => {
      const value = given(name) ?? otherwise;
      if (typeof value !== "boolean") throw wrong(at(name), value, "true or false");
      return value;
    },
    text: (name, allowed, otherwise) => {
      const value = given(name) ?? otherwise;
      const found = allowed.find((item) => item === value);
      if (found === undefined) throw wrong(at(name), value, allowed.join(" or "));
      return found;
    },
    pair: (name, otherwise) => {
      const value = given(name) ?? otherwise;
      const both = typeof value === "number" ? [value, value] : numbers(at(name), value);
      if (both.length === 1) return [both[0] as number, both[0] as number];
      if (both.length !== 2) throw wrong(at(name), value, "one number or two");
      return [both[0] as number, both[1] as number];
    },
    numbers: (name) => numbers(at(name), given(name)),
    dims: (name) => {
      const value = given(name);
      if (value === undefined || typeof value === "number") return value;
      return numbers(at(name), value);
    },
  };
};
