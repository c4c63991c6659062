import { describe, expect, test } from "vitest";
import type { Backend, Call, Kernels, OpName } from "./backend.js";
import { delegate, wrapKernels } from "./wrap.js";

/** Methods that need their `this`, as those of a class do. */
class Recording {
  readonly calls: string[] = [];
  readonly apiVersion = 1;
  readonly name = "recording";
  readonly description = "of nothing";
  readonly caps = { syncRead: true } as Backend["caps"];
  readonly lost = new Promise<never>(() => {});
  readonly kernels = {
    fill: () => this.note("fill"),
    softmax: { supports: () => false, run: () => this.note("softmax") },
    conv2d: { run: () => this.note("conv2d") },
  } as unknown as Kernels;

  note(what: string): void {
    this.calls.push(what);
  }
  alloc() {
    this.note("alloc");
    return {};
  }
  free() {
    this.note("free");
  }
  write() {
    this.note("write");
  }
  async read() {
    this.note("read");
    return new Float32Array();
  }
  readSync() {
    this.note("readSync");
    return new Float32Array();
  }
  flush() {
    this.note("flush");
  }
  async sync() {
    this.note("sync");
  }
  dispose() {
    this.note("dispose");
  }
}

describe("delegate", () => {
  test("calls every method on the original, and says what it says", async () => {
    const inner = new Recording();
    const outer = delegate(inner as Backend);
    const operand = { shape: [0], dtype: "float32", storage: outer.alloc({ shape: [1], dtype: "float32" }) } as const;
    outer.write(operand, new Float32Array());
    await outer.read(operand);
    outer.readSync?.(operand);
    outer.flush();
    await outer.sync();
    outer.free(operand.storage);
    outer.dispose();
    expect(inner.calls).toEqual(["alloc", "write", "read", "readSync", "flush", "sync", "free", "dispose"]);
    for (const key of ["apiVersion", "name", "description", "caps", "kernels", "lost"] as const)
      expect(outer[key]).toBe(inner[key]);
  });

  test("has no member that the original lacks", () => {
    const { readSync: _, description: __, ...inner } = { ...delegate(new Recording() as Backend) };
    expect(Object.keys(delegate(inner)).sort()).toEqual(Object.keys(inner).sort());
  });
});

test("wrapKernels shows every call, and runs it when it is told to", () => {
  const inner = new Recording();
  const seen: string[] = [];
  const { fill, softmax, conv2d } = wrapKernels(inner.kernels, (call, run) => {
    seen.push(call.op);
    if (call.op !== "conv2d") run();
  });
  const call = <K extends OpName>(op: K) => ({ op }) as unknown as Call<K>;
  fill(call("fill"));
  softmax?.run(call("softmax"));
  conv2d?.run(call("conv2d"));
  expect(seen).toEqual(["fill", "softmax", "conv2d"]);
  expect(inner.calls).toEqual(["fill", "softmax"]);
  expect(softmax?.supports?.(call("softmax"))).toBe(false);
  expect(conv2d?.supports).toBeUndefined();
});
