import { describe, expect, test } from "vitest";
import { createDevice, type Device, type Info, openBackend } from "./device.js";
import { choose, type Primitive, type Probe, type Way } from "./probe.js";
import { tf } from "./testing/tfjs.js";

type F = (x: Info) => Info;

const device = async (): Promise<Device> => createDevice(tf, "cpu", await openBackend(tf, "cpu"));

const way = (status: Way<F>["status"], kernel: string, f: F): Way<F> => ({ status, kernels: [kernel], f });

let count = 0;
/** Negation, by other names each time: findings are remembered. */
const negation = (d: Device, ways: readonly Way<F>[], more: Partial<Primitive<F>> = {}): Primitive<F> => ({
  op: `negation ${count++}`,
  ways,
  probes: [
    {
      code: "tf.neg([1, NaN])",
      run: (f) => f(d.place(Float32Array.of(1, Number.NaN), [2])),
      expected: [-1, Number.NaN],
    },
  ] satisfies readonly Probe<F>[],
  ...more,
});

describe("choose", () => {
  test("the first way, where it is right", async () => {
    const d = await device();
    const neg: F = (x) => d.run("Neg", { x });
    const { f, row } = await choose(d, negation(d, [way("native", "Neg", neg), way("host", "Neg", neg)]));
    expect(f).toBe(neg);
    expect(row).toMatchObject({ kernel: "Neg", status: "native" });
    expect(row.reason).toBeUndefined();
  });

  test("the next, where the kernel is missing, wrong, or throws; with the reason", async () => {
    const d = await device();
    const neg: F = (x) => d.run("Neg", { x });
    const last = way("composed", "Neg", neg);
    const reasonOf = async (first: Way<F>) => (await choose(d, negation(d, [first, last]))).row.reason;
    expect(await reasonOf(way("native", "Negate", neg))).toEqual({ kind: "missing" });
    expect(await reasonOf(way("native", "Abs", (x) => d.run("Abs", { x })))).toEqual({
      kind: "wrong",
      code: "tf.neg([1, NaN])",
      expected: "[-1, NaN]",
      got: "[1, NaN]",
    });
    const fails: F = () => {
      throw new Error("no");
    };
    expect(await reasonOf(way("native", "Neg", fails))).toMatchObject({ kind: "wrong", got: "an error: no" });
  });

  test("none: a wrong one for what cannot be left to core, else nothing", async () => {
    const d = await device();
    const abs = way("native", "Abs", (x) => d.run("Abs", { x }));
    expect((await choose(d, negation(d, [abs]))).row.status).toBe("wrong");
    const optional = await choose(d, negation(d, [abs], { optional: true }));
    expect([optional.f, optional.row.status]).toEqual([undefined, "decomposed"]);
  });

  test("one that is right but passed over is kept at hand", async () => {
    const d = await device();
    const [neg, other]: F[] = [(x) => d.run("Neg", { x }), (x) => d.run("Neg", { x })] as [F, F];
    const ways = [way("native", "Neg", neg as F), way("composed", "Neg", other as F)];
    const { f, own, row } = await choose(d, negation(d, ways, { passOver: true }));
    expect([f, own, row.status, row.reason]).toEqual([other, neg, "composed", { kind: "passed over" }]);
    const alone = await choose(d, negation(d, ways.slice(0, 1), { passOver: true }));
    expect([alone.f, alone.row.status, alone.row.reason]).toEqual([neg, "native", undefined]);
  });

  test("probes leave nothing behind", async () => {
    const d = await device();
    const before = d.backend.numDataIds();
    await choose(d, negation(d, [way("native", "Abs", (x) => d.run("Abs", { x })), way("host", "Neg", (x) => x)]));
    expect(d.backend.numDataIds()).toBe(before);
  });
});
