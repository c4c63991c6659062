/** Wording that the Markdown and the HTML scorecard share. */
import type { EngineRow } from "../results.js";
import type { Cell, Native, Row } from "./build.js";

/** Signs that need no colour to be told apart. */
export const marks = { passed: "✓", failed: "✗", skipped: "–" } as const;

export const nativeTexts: Readonly<Record<Native, string>> = {
  native: "native",
  partly: "partly native",
  decomposed: "decomposed",
  required: "required",
  unknown: "",
};

/** `12`, or `3 of 12` where some failed. */
export const countText = ({ passed, failed, skipped }: Cell): string => {
  const run = passed + failed;
  if (run === 0) return `${skipped}`;
  return failed > 0 ? `${failed} of ${run}` : `${run}`;
};

/** Share of the allowed error that was used. */
export const ratioText = ({ ratio, tolerance }: Row): string => {
  if (ratio === undefined) return "";
  if (ratio === null) return "missed";
  if (ratio === 0) return tolerance === "exact" ? "exact" : "0";
  return ratio < 0.001 ? "< 0.001" : ratio.toPrecision(2);
};

/** Why an engine's own kernel is not used. */
export const reasonText = ({ reason }: EngineRow): string => {
  if (!reason) return "";
  const { kind, code, expected, got } = reason;
  return code === undefined ? kind : `${kind}: ${code} gave ${got}, expected ${expected}`;
};
