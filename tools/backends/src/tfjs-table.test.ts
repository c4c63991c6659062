import { expect, test } from "vitest";
import { type BridgeReport, renderTfjsTable } from "./tfjs-table.js";

const summary = { passed: 3, failed: 0, skipped: 1 };
const row = { dtype: "float32", kernel: "Erf" } as const;

const cpu: BridgeReport = {
  summary,
  backend: {
    name: "tfjs:cpu",
    engine: [
      {
        ...row,
        op: "unary.erf",
        status: "host",
        reason: { kind: "wrong", code: "tf.erf(1)", expected: "0.8", got: "NaN" },
      },
      { ...row, op: "conv2d", kernel: "Conv2D", status: "native" },
      { ...row, op: "conv2dGradWeight", kernel: "B", status: "composed", reason: { kind: "passed over" } },
    ],
  },
};
const wasm: BridgeReport = {
  summary,
  backend: {
    name: "tfjs:wasm",
    engine: [{ ...row, op: "conv2dGradWeight", kernel: "B", status: "composed", reason: { kind: "missing" } }],
  },
};

test("a row an op, a column a backend, and a reproduction for each wrong kernel", () => {
  const text = renderTfjsTable([cpu, wasm], "4.22.0");
  expect(text).toContain("| Striate's op | dtype | tfjs's kernel | `tfjs:cpu` | `tfjs:wasm` |");
  expect(text).toContain("| `unary.erf` | float32 | `Erf` | **wrong**; host |  |");
  expect(text).toContain("| `conv2d` | float32 | `Conv2D` | native |  |");
  expect(text).toContain(
    "| `conv2dGradWeight` | float32 | `B` | right, passed over; composed | **missing**; composed |",
  );
  expect(text).toContain("- `tfjs:cpu`: 3 passed, 0 failed, 1 skipped");
  expect(text).toContain("### tfjs:cpu\n\n- `Erf`: tf.erf(1) gives NaN, expected 0.8\n\n### tfjs:wasm\n\nNone.");
});

test("a report of another backend is refused", () => {
  expect(() => renderTfjsTable([{ summary, backend: { name: "cpu" } }], "4.22.0")).toThrow(
    "the report on cpu says nothing of an engine",
  );
});
