/** Pieces of schemas whose complaints name what was expected, and the nearest name for one that is not known. */
import { nearestName } from "@striate/backends";
import { z } from "zod";

const hint = (given: string, names: readonly string[]): string => {
  const nearest = nearestName(given, names);
  return nearest === undefined ? "" : `; did you mean ${nearest}?`;
};

/** An object with these keys and no others. */
export const object = <S extends z.core.$ZodLooseShape>(shape: S): z.ZodObject<S, z.core.$strict> =>
  z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return "expected an object";
      const names = Object.keys(shape);
      const said = issue.keys.map((key) => `there is no ${JSON.stringify(key)} here${hint(key, names)}`);
      return `${said.join("; ")}; the keys are ${names.join(", ")}`;
    },
  });

/** What was given, short enough for one line. */
export const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
};

export const oneOf = <const N extends readonly [string, ...string[]]>(names: N): z.ZodEnum<{ [K in N[number]]: K }> =>
  z.enum(names, {
    error: ({ input }) =>
      `is ${shown(input)}, expected one of ${names.join(", ")}${typeof input === "string" ? hint(input, names) : ""}`,
  }) as z.ZodEnum<{ [K in N[number]]: K }>;

const number = (what: string, accepts: (value: number) => boolean): z.ZodNumber =>
  z
    .number({ error: ({ input }) => `is ${shown(input)}, expected ${what}` })
    .refine(accepts, { error: ({ input }) => `is ${shown(input)}, expected ${what}` });

/** An integer from `least` up. */
export const count = (least: number, most: number = Number.MAX_SAFE_INTEGER): z.ZodNumber =>
  number(
    most === Number.MAX_SAFE_INTEGER ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`,
    (v) => Number.isSafeInteger(v) && v >= least && v <= most,
  );

export const positive = (most = 1e12): z.ZodNumber =>
  number(most === 1e12 ? "a number above 0" : `a number above 0, up to ${most}`, (v) => v > 0 && v <= most);

export const nonNegative = (): z.ZodNumber => number("a number of at least 0", (v) => v >= 0 && v < 1e12);

/** A number from 0 to 1; `below` 1 where 1 would mean that nothing is learnt. */
export const share = (): z.ZodNumber => number("a number from 0 to 1", (v) => v >= 0 && v <= 1);
export const shareBelow1 = (): z.ZodNumber => number("a number from 0 to below 1", (v) => v >= 0 && v < 1);

export const flag = (): z.ZodBoolean =>
  z.boolean({ error: ({ input }) => `is ${shown(input)}, expected true or false` });

export const text = (what: string): z.ZodString =>
  z
    .string({ error: ({ input }) => `is ${shown(input)}, expected ${what}` })
    .refine((v) => v.trim() !== "", { error: `is empty, expected ${what}` });

/** A regular expression over the names of parameters. */
export const pattern = (): z.ZodString =>
  text("a regular expression").refine(
    (v) => {
      try {
        new RegExp(v);
        return true;
      } catch {
        return false;
      }
    },
    { error: ({ input }) => `is ${shown(input)}, expected a regular expression` },
  );

/** One of several objects that their `name` tells apart. */
export const variants = <const O extends readonly [z.core.$ZodTypeDiscriminable, ...z.core.$ZodTypeDiscriminable[]]>(
  names: readonly string[],
  options: O,
): z.ZodDiscriminatedUnion<O, "name"> =>
  z.discriminatedUnion("name", options, {
    error: (issue) => {
      const given = (issue.input as { name?: unknown } | null)?.name;
      return issue.code === "invalid_union"
        ? `is ${shown(given)}, expected one of ${names.join(", ")}${typeof given === "string" ? hint(given, names) : ""}`
        : "expected an object with a name";
    },
  });
