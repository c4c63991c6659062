import { describe, expect, test } from "vitest";
import type { CaseResult, ConformanceReport } from "../results.js";
import { summarize } from "../results.js";
import { buildScorecard } from "./build.js";
import { renderHtml } from "./html.js";
import { renderMarkdown } from "./markdown.js";

const base = { op: "conv2d", dtype: "float32", status: "passed", milliseconds: 1 } as const;

const results: readonly CaseResult[] = [
  { ...base, id: "ops:conv2d/a#f32", group: "ops", column: "forward", ratio: 0.25, constant: 3, kernels: ["conv2d"] },
  {
    ...base,
    id: "gradients:conv2d/a#f32",
    group: "gradients",
    column: "gradient",
    ratio: 0.5,
    constant: 5,
    kernels: ["conv2d"],
  },
  {
    ...base,
    id: "ops:conv2d/b|<i>#f32",
    group: "ops",
    column: "forward",
    status: "failed",
    reason: 'y is <script>, | expected & "1"',
  },
  { ...base, id: "ops:relu/a#f32", op: "relu", group: "ops", column: "forward", ratio: null },
  {
    ...base,
    id: "ops:relu/*#f16",
    op: "relu",
    dtype: "float16",
    group: "ops",
    column: "forward",
    status: "skipped",
    reason: "no float16",
  },
  { ...base, id: "ops:softmax/a#f32", op: "softmax", group: "ops", column: "special", kernels: [] },
  { id: "contract:interface", group: "contract", status: "passed", milliseconds: 0 },
];

const report: ConformanceReport = {
  schemaVersion: 1,
  suite: "@striate/conformance",
  backend: {
    name: "mine<b>",
    dtypes: ["float32"],
    nan: "propagates",
    deterministic: true,
    syncRead: false,
    kernels: ["conv2d"],
  },
  complete: true,
  summary: summarize(results),
  results,
};

describe("buildScorecard", () => {
  const card = buildScorecard(report);
  const row = (op: string, dtype: string) => card.rows.find((r) => r.op === op && r.dtype === dtype);

  test("a row an op and dtype, a cell a column", () => {
    expect(card.rows.map(({ op, dtype }) => `${op} ${dtype}`)).toEqual([
      "relu float32",
      "relu float16",
      "softmax float32",
      "conv2d float32",
    ]);
    expect(row("conv2d", "float32")?.cells.forward).toEqual({ passed: 1, failed: 1, skipped: 0, status: "failed" });
    expect(row("relu", "float16")?.cells.forward?.status).toBe("skipped");
    expect(row("relu", "float32")?.cells.gradient).toBeUndefined();
  });

  test("native, partly native and decomposed are told by the kernels that ran", () => {
    expect(row("conv2d", "float32")?.native).toBe("partly");
    expect(row("softmax", "float32")?.native).toBe("decomposed");
    expect(row("relu", "float32")?.native).toBe("required");
    expect(row("relu", "float16")?.native).toBe("unknown");
  });

  test("the worst ratio, and the grade from the worst constant", () => {
    expect(row("conv2d", "float32")).toMatchObject({ ratio: 0.5, grade: "B" });
    expect(row("relu", "float32")).toMatchObject({ ratio: null, grade: undefined });
    expect(row("relu", "float16")?.ratio).toBeUndefined();
  });

  test("groups, failures and reasons for skips", () => {
    expect(card.groups.map(({ group }) => group)).toEqual(["contract", "ops", "gradients"]);
    expect(card.failures.map(({ id }) => id)).toEqual(["ops:conv2d/b|<i>#f32"]);
    expect(card.skips).toEqual([{ reason: "no float16", count: 1 }]);
  });
});

test("Markdown says the counts and the failures, with bars escaped", () => {
  const text = renderMarkdown(report);
  expect(text).toContain("**5 passed, 1 failed, 1 skipped**");
  expect(text).toContain('- `ops:conv2d/b|<i>#f32`: y is <script>, \\| expected & "1"');
  expect(text).toContain("| `conv2d` | float32 | partly native | ✗ 1 of 2 | ✓ 1 |");
});

test("what an engine does not do itself is listed, with the reason", () => {
  const row = { dtype: "float32", kernel: "MaxPool" };
  const engine = [
    { ...row, op: "conv2d", status: "native" },
    {
      ...row,
      op: "maxPool2d",
      status: "host",
      reason: { kind: "wrong", code: "max(1, <NaN>)", expected: "NaN", got: "1" },
    },
    { ...row, op: "erf", status: "composed", reason: { kind: "missing" } },
    { ...row, op: "maxPool2dGrad", status: "host" },
  ];
  const bridged = { ...report, backend: { ...report.backend, engine } };
  const text = renderMarkdown(bridged);
  expect(text).toContain("| `maxPool2d` | float32 | `MaxPool` | host | wrong: max(1, <NaN>) gave 1, expected NaN |");
  expect(text).toContain("| `erf` | float32 | `MaxPool` | composed | missing |");
  expect(text).toContain("| `maxPool2dGrad` | float32 | `MaxPool` | host |  |");
  expect(text).not.toContain("| `conv2d` | float32 | `MaxPool`");
  expect(renderHtml(bridged)).toContain("wrong: max(1, &lt;NaN&gt;) gave 1, expected NaN");
  expect(renderMarkdown(report)).not.toContain("## Replaced");
});

describe("HTML", () => {
  const page = renderHtml(report);

  test("stands alone: nothing is loaded, no script runs", () => {
    expect(page).not.toMatch(/<script|<link|src=|href=|url\(/);
    expect(page).toMatch(/^<!doctype html>/);
  });

  test("what comes from the backend is escaped", () => {
    expect(page).toContain("mine&lt;b&gt;");
    expect(page).toContain("y is &lt;script&gt;, | expected &amp; &quot;1&quot;");
  });

  test("an early end is said", () => {
    expect(renderHtml({ ...report, complete: false })).toContain("(ended early)");
    expect(page).not.toContain("(ended early)");
  });
});
