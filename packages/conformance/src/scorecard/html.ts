import type { ConformanceReport } from "../results.js";
import { groupTexts, summaryLine } from "../results.js";
import { buildScorecard, type Cell, columns, columnTitles, type Row } from "./build.js";
import { countText, marks, nativeTexts, ratioText, reasonText } from "./text.js";

const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

// Blue and orange stay apart for every kind of colour blindness; the marks and words carry the meaning anyway.
const style = `
:root { color-scheme: light dark;
  --text: light-dark(#1b1f24, #e6e9ee); --quiet: light-dark(#59636e, #9aa4b0); --page: light-dark(#ffffff, #14171b);
  --panel: light-dark(#f6f7f9, #1c2026); --line: light-dark(#d8dde3, #323942);
  --good: light-dark(#0b5fa5, #79b8ff); --bad: light-dark(#a63c00, #ffa657); --bad-fill: light-dark(#fff0e5, #3a2411); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p { margin: .25rem 0 .75rem; max-width: 48rem; } .quiet { color: var(--quiet); }
.summary { font-size: 1.15rem; font-weight: 600; } .summary.passed { color: var(--good); } .summary.failed { color: var(--bad); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.ops { width: 100%; } th, td { padding: .25rem .5rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.wrap { white-space: normal; } th { font-weight: 600; font-size: .85rem; color: var(--quiet); }
.ops thead th { position: sticky; top: 0; background: var(--page); }
tbody tr:hover { background: var(--panel); } .number { text-align: right; }
code { font: .92em ui-monospace, monospace; } .passed b { color: var(--good); } .failed b { color: var(--bad); }
td.failed { background: var(--bad-fill); font-weight: 600; } td.skipped, td.none { color: var(--quiet); }
.first td { border-top: 1px solid var(--quiet); } ul { padding-left: 1.2rem; } li { margin: .2rem 0; overflow-wrap: anywhere; }
summary { cursor: pointer; }
`;

const cellHtml = (cell: Cell | undefined): string => {
  if (!cell) return '<td class="none"></td>';
  const title = `${cell.passed} passed, ${cell.failed} failed, ${cell.skipped} skipped`;
  return `<td class="${cell.status}" title="${title}"><b>${marks[cell.status]}</b> ${countText(cell)}</td>`;
};

const rowHtml = (row: Row, before: Row | undefined): string => {
  const first = before?.op !== row.op;
  const name = first ? `<code>${escapeHtml(row.op)}</code>` : "";
  const missed = row.ratio === null || (row.ratio ?? 0) > 1 ? ' class="number failed"' : ' class="number"';
  return (
    `<tr${first ? ' class="first"' : ""}><td>${name}</td><td>${row.dtype}</td><td>${nativeTexts[row.native]}</td>` +
    `${columns.map((column) => cellHtml(row.cells[column])).join("")}<td class="quiet">${row.tolerance}</td>` +
    `<td${missed}>${ratioText(row)}</td><td>${row.grade ?? ""}</td></tr>`
  );
};

/** More failures than these are folded away at first. */
const unfolded = 20;

/** One page without anything from outside: opens from disk, prints, follows the reader's light or dark setting. */
export const renderHtml = (report: ConformanceReport): string => {
  const card = buildScorecard(report);
  const { backend } = report;
  const state = card.summary.failed > 0 ? "failed" : "passed";
  const groups = card.groups
    .map(
      ({ group, passed, failed, skipped }) =>
        `<tr><td><code>${group}</code></td><td class="number">${passed}</td><td class="number${failed ? " failed" : ""}">${failed}</td>` +
        `<td class="number">${skipped}</td><td class="wrap quiet">${escapeHtml(groupTexts[group])}</td></tr>`,
    )
    .join("\n");
  const failures = card.failures
    .map(({ id, reason }) => `<li><code>${escapeHtml(id)}</code><br>${escapeHtml(reason ?? "")}</li>`)
    .join("\n");
  const skips = card.skips.map(({ reason, count }) => `<li>${count} × ${escapeHtml(reason)}</li>`).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Conformance of ${escapeHtml(card.backend)}</title>
<style>${style}</style>
</head>
<body>
<h1>Conformance of <code>${escapeHtml(card.backend)}</code></h1>
<p class="summary ${state}">${marks[state]} ${summaryLine(card.summary)}${card.complete ? "" : " (ended early)"}</p>
<p class="quiet">${backend.dtypes.join(", ")} · NaN ${backend.nan} · ${backend.deterministic ? "deterministic" : "not deterministic"} ·
${backend.kernels.length} optional kernels</p>
<table>
<thead><tr><th>group</th><th>passed</th><th>failed</th><th>skipped</th><th>what it checks</th></tr></thead>
<tbody>
${groups}
</tbody>
</table>
${failures ? `<h2>Failures</h2>\n<details${card.failures.length > unfolded ? "" : " open"}><summary>${card.failures.length} cases</summary>\n<ul>\n${failures}\n</ul></details>` : ""}
${
  card.rows.length > 0
    ? `<h2>Operators</h2>
<p class="quiet">${marks.passed} passed, ${marks.failed} failed, ${marks.skipped} skipped; the number is that of the cases. Worst: the largest error as
a share of the allowed one. Grade A: sums within 4·eps·S.
Runs: in the backend's own kernel, in core's decomposition, or by required kernels alone.</p>
<div class="scroll">
<table class="ops">
<thead><tr><th>op</th><th>dtype</th><th>runs</th>${columns.map((column) => `<th>${columnTitles[column]}</th>`).join("")}<th>class</th><th class="number">worst</th><th>grade</th></tr></thead>
<tbody>
${card.rows.map((row, i) => rowHtml(row, card.rows[i - 1])).join("\n")}
</tbody>
</table>
</div>`
    : ""
}
${
  card.replaced.length > 0
    ? `<h2>Replaced</h2>
<ul>
${card.replaced.map((row) => `<li><code>${escapeHtml(row.op)}</code> (${escapeHtml(row.dtype)}), ${escapeHtml(row.status)}: <code>${escapeHtml(row.kernel)}</code> ${escapeHtml(reasonText(row))}</li>`).join("\n")}
</ul>`
    : ""
}
${skips ? `<h2>Skipped</h2>\n<ul>\n${skips}\n</ul>` : ""}
</body>
</html>
`;
};
