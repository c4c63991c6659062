import { expect, test } from "vitest";
import { ArgumentError, DisposedError, KernelError, UnsupportedError } from "./errors.js";
import { fromBackend, memoryUsage, operandOf, tensor, zeros } from "./index.js";
import { createMinimalBackend } from "./testing/minimal-backend.js";

const spec = { shape: [2, 2], dtype: "float32" } as const;

test("fromBackend: a tensor of what the backend put into its storage", async () => {
  const backend = await createMinimalBackend();
  const x = fromBackend(spec, backend, (y) => backend.write(y, Float32Array.of(1, 2, 3, 4)));
  expect(await x.add(1).toArray()).toEqual([
    [2, 3],
    [4, 5],
  ]);
  x.dispose();
});

test("fromBackend: nothing is left where filling fails, or the dtype is not there", async () => {
  const backend = await createMinimalBackend();
  const fails = (): never => {
    throw new Error("no");
  };
  expect(() => fromBackend(spec, backend, fails)).toThrow(KernelError);
  expect(() => fromBackend({ ...spec, dtype: "float16" }, backend, () => {})).toThrow(UnsupportedError);
  expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0, bytes: 0 });
});

test("fromBackend: there is nothing to fill without elements", async () => {
  const backend = await createMinimalBackend();
  const x = fromBackend({ shape: [0, 3], dtype: "int32" }, backend, () => {
    throw new Error("was called");
  });
  expect((await x.data()).length).toBe(0);
});

test("operandOf: what the backend holds, seen as the tensor is", async () => {
  const backend = await createMinimalBackend();
  const x = tensor([1, 2, 3, 4], { backend });
  const y = x.reshape([2, 2]);
  expect(operandOf(y)).toEqual({ shape: [2, 2], dtype: "float32", storage: operandOf(x).storage });
  expect(await backend.read(operandOf(y))).toEqual(Float32Array.of(1, 2, 3, 4));
});

test("operandOf: refused for a disposed tensor and for one without elements", async () => {
  const backend = await createMinimalBackend();
  const x = tensor([1], { backend });
  x.dispose();
  expect(() => operandOf(x)).toThrow(DisposedError);
  expect(() => operandOf(zeros([0], { backend }))).toThrow(ArgumentError);
});
