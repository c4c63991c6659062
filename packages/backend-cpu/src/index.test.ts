import { DisposedError, OutOfMemoryError, requiredOps, StriateError } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createCpuBackend } from "./index.js";
import { createHarness, integers, tensor } from "./testing/harness.js";

const spec = { shape: [2, 3], dtype: "float32" } as const;

describe("createCpuBackend", () => {
  test("has every required kernel, and convolution and pooling forward and backward", async () => {
    const { kernels } = await createCpuBackend();
    for (const op of requiredOps) expect(kernels[op], op).toBeTypeOf("function");
    for (const op of ["conv2d", "conv2dGradInput", "conv2dGradWeight", "maxPool2d", "maxPool2dGrad"] as const)
      expect(kernels[op]?.run, op).toBeTypeOf("function");
  });

  test("write and read copy", async () => {
    const backend = await createCpuBackend();
    const operand = { ...spec, storage: backend.alloc(spec) };
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    backend.write(operand, data);
    data.fill(9);
    const first = await backend.read(operand);
    first.fill(8);
    expect(backend.readSync?.(operand)).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
  });

  test("a storage reads the same under another shape", async () => {
    const { run1 } = await createHarness();
    const x = integers([2, 3, 4], 1);
    const flat = run1("unary", [{ ...x, shape: [24] }], [24], { kind: "neg" });
    expect(run1("unary", [x], [2, 3, 4], { kind: "neg" })).toEqual(flat);
  });

  test("is out of memory beyond maxBufferBytes, and goes on", async () => {
    const backend = await createCpuBackend();
    const { maxBufferBytes } = backend.caps;
    expect(() => backend.alloc({ shape: [maxBufferBytes + 1], dtype: "uint8" })).toThrow(OutOfMemoryError);
    expect(() => backend.alloc({ shape: [2 ** 16, 2 ** 16], dtype: "float32" })).toThrow(/17179869184 bytes/);
    expect(() => backend.alloc(spec)).not.toThrow();
  });

  test("after dispose, alloc, write and read are refused", async () => {
    const backend = await createCpuBackend();
    const operand = { ...spec, storage: backend.alloc(spec) };
    backend.dispose();
    backend.dispose();
    expect(() => backend.alloc(spec)).toThrow(DisposedError);
    expect(() => backend.write(operand, new Float32Array(6))).toThrow(DisposedError);
    await expect(backend.read(operand)).rejects.toThrow(DisposedError);
    expect(() => backend.free(operand.storage)).not.toThrow();
  });

  test.each([-1, Number.NaN])("refuses poolBytes %s", async (poolBytes) => {
    await expect(createCpuBackend({ poolBytes })).rejects.toThrow(StriateError);
  });

  test("without compiling at run time, results are the same", async () => {
    const plain = await createHarness({ codegen: false });
    const compiled = await createHarness();
    const x = tensor([7], [-3.5, -1, -0.25, 0, 0.25, 1, 3.5]);
    for (const { run1 } of [plain, compiled]) {
      expect(run1("unary", [x], [7], { kind: "relu" })).toEqual([0, 0, 0, 0, 0.25, 1, 3.5]);
      expect(run1("binary", [x, tensor([1], [2])], [7], { kind: "mul" })).toEqual([-7, -2, -0.5, 0, 0.5, 2, 7]);
      expect(run1("reduce", [x], [], { kind: "max", axes: [0] })).toEqual([3.5]);
      expect(run1("activation", [x], [7], { kind: "leakyRelu", alpha: 0.5 })[0]).toBe(-1.75);
    }
  });
});
