import type { ConformanceReport } from "../results.js";
import { groupTexts, summaryLine } from "../results.js";
import { buildScorecard, columns, columnTitles, type Row } from "./build.js";
import { countText, marks, nativeTexts, ratioText, reasonText } from "./text.js";

const inCell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

const tableOf = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.map(inCell).join(" | ")} |`).join("\n");

const rowCells = (row: Row): string[] => [
  `\`${row.op}\``,
  row.dtype,
  nativeTexts[row.native],
  ...columns.map((column) => {
    const cell = row.cells[column];
    return cell ? `${marks[cell.status]} ${countText(cell)}` : "";
  }),
  `${ratioText(row)}${row.grade ? ` (${row.grade})` : ""}`,
];

const engineText =
  "The backend stands on an engine of others. What that does not do, or does wrong by the backend's own probes, is done " +
  "by other kernels of the engine (composed), on the host, or by core (decomposed).";

/** Failures that are written out; the JSON has all. */
const failureLimit = 100;

/** The scorecard for people, in GitHub's Markdown. */
export const renderMarkdown = (report: ConformanceReport): string => {
  const card = buildScorecard(report);
  const failures = card.failures.slice(0, failureLimit);
  const sections = [
    `# Conformance of \`${card.backend}\``,
    `**${summaryLine(card.summary)}**${card.complete ? "" : " (the run was ended early)"}`,
    tableOf(
      ["group", "passed", "failed", "skipped", "what it checks"],
      card.groups.map(({ group, passed, failed, skipped }) => [
        group,
        `${passed}`,
        `${failed}`,
        `${skipped}`,
        groupTexts[group],
      ]),
    ),
    ...(failures.length > 0
      ? [
          `## Failures\n\n${failures.map(({ id, reason }) => `- \`${id}\`: ${inCell(reason ?? "")}`).join("\n")}`,
          ...(card.failures.length > failureLimit ? [`… and ${card.failures.length - failureLimit} more.`] : []),
        ]
      : []),
    ...(card.rows.length > 0
      ? [
          `## Operators\n\n${marks.passed} passed, ${marks.failed} failed, ${marks.skipped} skipped; the number is that of the cases. ` +
            "An op runs in the backend's own kernel, in core's decomposition, or by required kernels alone. The last column is the worst " +
            "error over the allowed error; A marks sums within 4·eps·S.",
          tableOf(
            ["op", "dtype", "runs", ...columns.map((column) => columnTitles[column]), "worst / allowed"],
            card.rows.map(rowCells),
          ),
        ]
      : []),
    ...(card.replaced.length > 0
      ? [
          `## Replaced\n\n${engineText}`,
          tableOf(
            ["for", "dtype", "engine's kernel", "done", "because"],
            card.replaced.map((row) => [`\`${row.op}\``, row.dtype, `\`${row.kernel}\``, row.status, reasonText(row)]),
          ),
        ]
      : []),
    ...(card.skips.length > 0
      ? [`## Skipped\n\n${card.skips.map(({ reason, count }) => `- ${count} × ${inCell(reason)}`).join("\n")}`]
      : []),
  ];
  return `${sections.join("\n\n")}\n`;
};
