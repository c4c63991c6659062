/** What report and comparison have in common: figures that say where they come from, tables, the page around them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { html, raw } from "hono/html";
import { decimal } from "../ui/page/format.js";
import type { Html } from "./chart.js";

/**
 * A figure with the place where it is found again: a file of the run folder (for metrics.jsonl with the line, from 1),
 * then a JSON pointer (RFC 6901). `value` is exactly what stands there, nothing (null) if it was not finite.
 */
export const cite = (
  from: string,
  value: number | null | undefined,
  format: (value: number | null | undefined) => string = decimal,
): Html =>
  html`<data value="${value === null || value === undefined || Number.isNaN(value) ? "" : value}" data-from="${from}">${format(value)}</data>`;

/** A part of a JSON pointer. */
export const pointer = (...path: readonly (string | number)[]): string =>
  path.map((part) => `/${`${part}`.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

type Json = unknown;

/** Leaves of a JSON value with their paths; arrays of plain values stay together. */
export const leaves = (value: Json, path: readonly string[] = []): [readonly string[], Json][] => {
  const isPlain = typeof value !== "object" || value === null;
  if (isPlain || (Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null)))
    return [[path, value]];
  return Object.entries(value).flatMap(([name, below]) => leaves(below, [...path, name]));
};

/** A JSON file as a table of its leaves. */
export const jsonTable = (file: string, value: Json): Html => html`<div class="scroll"><table class="pairs"><tbody>
${leaves(value).map(([path, leaf]) => {
  const from = `${file}${pointer(...path)}`;
  const shown =
    typeof leaf === "number" ? cite(from, leaf, (n) => `${n}`) : html`<span data-from="${from}">${textOf(leaf)}</span>`;
  return html`<tr><th scope="row">${path.join(".")}</th><td>${shown}</td></tr>`;
})}
</tbody></table></div>`;

const textOf = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));

/** They lie with the sources, in the tests and in the built program: the compiler copies no style sheets. */
const styleSheets = (): string =>
  ["ui/page/theme.css", "report/style.css"]
    .map((path) => readFileSync(new URL(`../../src/${path}`, import.meta.url), "utf8"))
    .join("\n");

/** A page in one file that runs no script and fetches nothing; its policy says so too. */
export const singlePage = async (title: string, body: Html): Promise<string> => {
  const style = styleSheets();
  const hash = createHash("sha256").update(style).digest("base64");
  const page = await html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-${raw(hash)}'; base-uri 'none'; form-action 'none'">
<title>${title}</title>
<style>${raw(style)}</style>
</head>
<body>
${body}
</body>
</html>
`;
  return page.toString();
};
