import { distance } from "fastest-levenshtein";

/** Beyond these, names come from no network, and time is better spent. */
const longest = 120;
const mostCandidates = 1000;

/** The candidate that `name` is probably a misspelling of, or another version's name for. */
export const nearestName = (name: string, candidates: Iterable<string>): string | undefined => {
  if (name.length > longest) return undefined;
  let best: string | undefined;
  let least = Math.max(2, name.length / 3) + 1;
  let seen = 0;
  for (const candidate of candidates) {
    if (++seen > mostCandidates) break;
    if (Math.abs(candidate.length - name.length) >= least || candidate.length > longest) continue;
    const d = distance(name, candidate);
    if (d >= least) continue;
    least = d;
    best = candidate;
  }
  return best;
};
