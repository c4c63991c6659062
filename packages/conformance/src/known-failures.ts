import { matcher } from "./match.js";
import type { CaseResult } from "./results.js";

/** A failure that is accepted for now. It is run all the same, and passing is an error. */
export interface KnownFailure {
  /** Of case ids; see `matcher`. */
  readonly pattern: string;
  readonly reason: string;
  /** YYYY-MM-DD: from the day after, the failure counts again. */
  readonly expires: string;
}

const fields = ["pattern", "reason", "expires"] as const;

const isDate = (value: string): boolean => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value));

const parseEntry = (entry: unknown, i: number): KnownFailure => {
  const given = typeof entry === "object" && entry !== null ? (entry as Record<string, unknown>) : {};
  for (const field of fields)
    if (typeof given[field] !== "string" || given[field] === "")
      throw new TypeError(`known failure ${i}: ${field} is ${JSON.stringify(given[field])}, expected text`);
  const unknown = Object.keys(given).find((key) => !(fields as readonly string[]).includes(key));
  if (unknown !== undefined) throw new TypeError(`known failure ${i}: ${unknown} is none of ${fields.join(", ")}`);
  const { pattern, reason, expires } = given as unknown as KnownFailure;
  if (!isDate(expires))
    throw new TypeError(`known failure ${i} (${pattern}): expires is ${expires}, expected a date YYYY-MM-DD`);
  return { pattern, reason, expires };
};

/** The file that stands beside a backend: a JSON list of entries, every field given. @throws TypeError, SyntaxError */
export const parseKnownFailures = (json: string): KnownFailure[] => {
  const entries: unknown = JSON.parse(json);
  if (!Array.isArray(entries)) throw new TypeError("known failures: expected a list");
  return entries.map(parseEntry);
};

/** Turns outcomes into results. `now` decides what has expired. */
export const judgeBy = (entries: readonly KnownFailure[], now: Date): ((result: CaseResult) => CaseResult) => {
  const today = now.toISOString().slice(0, 10);
  const known = entries.map(parseEntry).map((entry) => ({ ...entry, matches: matcher(entry.pattern) }));
  return (result) => {
    const entry = known.find(({ matches }) => matches(result.id));
    if (!entry || result.status === "skipped") return result;
    if (result.status === "passed")
      return {
        ...result,
        status: "failed",
        reason: `passes, but is listed as a known failure (${entry.pattern}): remove the entry`,
      };
    if (entry.expires < today)
      return { ...result, reason: `${result.reason} (known failure, expired on ${entry.expires})` };
    return { ...result, status: "skipped", knownFailure: entry.pattern, reason: `known failure: ${entry.reason}` };
  };
};

/** Entries that cover no case of a full run are stale. */
export const staleEntries = (entries: readonly KnownFailure[], ids: readonly string[]): CaseResult[] =>
  entries
    .filter(({ pattern }) => !ids.some(matcher(pattern)))
    .map(({ pattern }) => ({
      id: `contract:known-failures/${pattern}`,
      group: "contract",
      status: "failed",
      reason: "this known failure matches no case: remove the entry",
      milliseconds: 0,
    }));
