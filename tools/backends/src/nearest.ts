import { distance } from "fastest-levenshtein";

/** The name that `given` is most likely a slip of, or undefined where none is near: at most 3 edits, and half of it. */
export const nearestName = (given: string, names: Iterable<string>): string | undefined => {
  let nearest: string | undefined;
  let least = Math.min(3, Math.floor(given.length / 2)) + 1;
  for (const name of names) {
    const edits = distance(given.toLowerCase(), name.toLowerCase());
    if (edits < least) {
      nearest = name;
      least = edits;
    }
  }
  return nearest;
};
