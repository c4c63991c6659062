/** Anything JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * `above` laid over `below`, objects key by key. What has a `name` is replaced as a whole where the name changes: the
 * options of one optimizer mean nothing to another.
 */
export const merge = (below: Json, above: Json): Json => {
  if (!isObject(below) || !isObject(above)) return above;
  if (Object.hasOwn(above, "name") && Object.hasOwn(below, "name") && above["name"] !== below["name"]) return above;
  const keys = new Set([...Object.keys(below), ...Object.keys(above)]);
  // `fromEntries` defines, so that a key `__proto__` stays a key.
  return Object.fromEntries(
    [...keys].map((key) => {
      if (!Object.hasOwn(above, key)) return [key, below[key] as Json];
      const value = above[key] as Json;
      return [key, Object.hasOwn(below, key) ? merge(below[key] as Json, value) : value];
    }),
  );
};

/** An object with one value at the end of `path`. */
export const at = (path: readonly string[], value: Json): Json =>
  path.reduceRight<Json>((inner, key) => Object.fromEntries([[key, inner]]), value);
