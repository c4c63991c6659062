import { createCpuBackend } from "@striate/backend-cpu";
import {
  ArgumentError,
  type Backend,
  memoryUsage,
  noGrad,
  rand,
  ShapeError,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
  zeros,
} from "@striate/core";
import { beforeEach, describe, expect, test } from "vitest";
import {
  batchNorm1d,
  batchNorm2d,
  build,
  conv2d,
  dropout,
  flatten,
  identity,
  init,
  type Layer,
  linear,
  relu,
  sequential,
} from "./index.js";
import { nets, readVectors } from "./testing/nets.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const valuesOf = (t: Tensor): number[] => Array.from(t.dataSync());
const input = (...shape: number[]): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
    { backend, shape },
  );
};
const small = (seed = 1) =>
  sequential([linear(4, 3), batchNorm1d(3), relu(), dropout(0.5), linear(3, 2)], { backend, seed });

describe("names and shapes", () => {
  test.each(Object.entries(nets))("%s has PyTorch's", (name, net) => {
    const { parameters } = readVectors<{ parameters: [string, number[]][] }>(`training/${name}-sgd.json`);
    const module = build(net, { backend, seed: 1 });
    expect([...module.namedParameters()].map(([n, t]) => [n, t.shape])).toEqual(parameters);
    const y = noGrad(() => module.eval().forward(input(2, 3, 32, 32)));
    expect(y.shape).toEqual([2, 10]);
    expect(valuesOf(y).every(Number.isFinite)).toBe(true);
  });

  test("a state dict has each layer's parameters, then its buffers", () => {
    expect([...small().stateDict()].map(([name, t]) => [name, t.dtype, t.shape])).toEqual([
      ["0.weight", "float32", [3, 4]],
      ["0.bias", "float32", [3]],
      ["1.weight", "float32", [3]],
      ["1.bias", "float32", [3]],
      ["1.running_mean", "float32", [3]],
      ["1.running_var", "float32", [3]],
      ["1.num_batches_tracked", "int32", []],
      ["4.weight", "float32", [2, 3]],
      ["4.bias", "float32", [2]],
    ]);
    expect([...small().namedBuffers().keys()]).toEqual(["1.running_mean", "1.running_var", "1.num_batches_tracked"]);
  });

  test("a module knows the layer it was built from", () => {
    const layer = sequential([linear(4, 3)]);
    expect(build(layer, { backend, seed: 1 }).layer).toBe(layer);
  });

  test("names may be any text without dots", () => {
    const odd: Layer = (m) => m.child("__proto__", m.child("constructor", linear(1, 1)) && linear(1, 1));
    expect([...build(odd, { backend, seed: 1 }).stateDict().keys()]).toEqual([
      "constructor.weight",
      "constructor.bias",
      "__proto__.weight",
      "__proto__.bias",
    ]);
  });

  test("children are modules with relative names", () => {
    const net = build(nets["resnet20"] as Layer, { backend, seed: 1 });
    const block = net.children.get("layer2")?.children.get("0");
    expect([...(block?.namedParameters().keys() ?? [])].slice(0, 3)).toEqual([
      "conv1.weight",
      "bn1.weight",
      "bn1.bias",
    ]);
    expect(block?.parameters()[0]).toBe(net.namedParameters().get("layer2.0.conv1.weight"));
  });

  test("float64 on request", () => {
    const net = build(sequential([linear(2, 2), batchNorm1d(2)]), { backend, seed: 1, dtype: "float64" });
    expect([...net.stateDict().values()].map((t) => t.dtype)).toEqual([...new Array(6).fill("float64"), "int32"]);
  });
});

describe("initial values", () => {
  const weightsOf = (layer: Layer, seed: number): Map<string, number[]> =>
    new Map([...build(layer, { backend, seed }).namedParameters()].map(([name, t]) => [name, valuesOf(t)]));

  test("are functions of the seed and the name", () => {
    expect(weightsOf(sequential([linear(4, 3)]), 1)).toEqual(weightsOf(sequential([linear(4, 3)]), 1));
    expect(weightsOf(sequential([linear(4, 3)]), 1)).not.toEqual(weightsOf(sequential([linear(4, 3)]), 2));
    const longer = weightsOf(sequential([linear(4, 3), relu(), linear(4, 3)]), 1);
    expect(longer.get("0.weight")).toEqual(weightsOf(sequential([linear(4, 3)]), 1).get("0.weight"));
    expect(longer.get("2.weight")).not.toEqual(longer.get("0.weight"));
  });

  test("a layer that is built twice has other parameters, of other values", () => {
    const layer = linear(2, 2);
    const net = sequential([layer, layer], { backend, seed: 1 });
    expect(new Set(net.parameters()).size).toBe(4);
    expect(valuesOf(net.parameters()[0] as Tensor)).not.toEqual(valuesOf(net.parameters()[2] as Tensor));
  });

  test("follow PyTorch's default bounds, the bias by the weight's fan", () => {
    const net = build(conv2d(4, 50, 5), { backend, seed: 1 });
    for (const parameter of net.parameters()) {
      const largest = Math.max(...valuesOf(parameter).map(Math.abs));
      expect(largest).toBeLessThanOrEqual(0.1);
      expect(largest).toBeGreaterThan(0.09);
    }
  });

  test("are the same whatever the dtype, but for rounding", () => {
    const [a, b] = (["float32", "float64"] as const).map((dtype) => build(linear(3, 3), { backend, seed: 1, dtype }));
    expect(valuesOf(a?.parameters()[0] as Tensor)).toEqual(valuesOf(b?.parameters()[0] as Tensor).map(Math.fround));
  });

  test("streams that collide are kept apart", () => {
    const streams: number[] = [];
    const layer: Layer = (m) => {
      for (let i = 0; i < 2; i++) streams.push(m.stream("same"));
      return (x) => x;
    };
    build(layer, { backend, seed: 1 });
    expect(streams[1]).toBe((streams[0] as number) + 1);
    expect(Math.min(...streams)).toBeGreaterThanOrEqual(2 ** 30);
    expect(Math.max(...streams)).toBeLessThan(2 ** 31);
  });
});

describe("modes", () => {
  test("reach all below, and only these", () => {
    const net = build(sequential([sequential([dropout(), identity()]), dropout()]), { backend, seed: 1 });
    const [inner, outer] = ["0", "1"].map((name) => net.children.get(name));
    expect(net.training).toBe(true);
    inner?.eval();
    expect([net.training, inner?.training, inner?.children.get("0")?.training, outer?.training]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    net.eval();
    expect(outer?.training).toBe(false);
    expect(net.train().children.get("0")?.children.get("0")?.training).toBe(true);
  });

  test("dropout drops in training alone, another mask each call, and resumes by its counter", () => {
    const net = sequential([dropout(0.5)], { backend, seed: 3 });
    const x = zeros([1000], { backend }).add(1);
    const [a, b] = [valuesOf(net.forward(x)), valuesOf(net.forward(x))];
    expect(a).not.toEqual(b);
    expect(new Set(a)).toEqual(new Set([0, 2]));
    expect(a.filter((v) => v === 0).length / 1000).toBeCloseTo(0.5, 1);
    expect([...net.counters()]).toEqual([["0.calls", 2]]);
    expect(net.eval().forward(x)).toBe(x);
    expect([...net.counters()]).toEqual([["0.calls", 2]]);

    const other = sequential([dropout(0.5)], { backend, seed: 3 });
    other.loadCounters([["0.calls", 1]]);
    expect(valuesOf(other.forward(x))).toEqual(b);
  });

  test("batch norm moves and counts in training alone", () => {
    const net = sequential([batchNorm1d(2)], { backend, seed: 1 });
    const state = (): number[][] =>
      ["0.running_mean", "0.num_batches_tracked"].map((n) => valuesOf(net.stateDict().get(n) as Tensor));
    const x = tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { backend },
    );
    for (let i = 0; i < 3; i++) net.forward(x);
    const [mean = [], batches] = state();
    expect(batches).toEqual([3]);
    expect(mean[0]).toBeCloseTo(2 * (1 - 0.9 ** 3), 5);
    net.eval().forward(x);
    expect(state()).toEqual([mean, [3]]);
    net.train().forward(x);
    expect(state()[1]).toEqual([4]);
  });
});

describe("state dicts", () => {
  test("round trip", () => {
    const [a, b] = [small(1), small(2)];
    const x = input(8, 4);
    a.forward(x);
    a.forward(x);
    expect(b.loadStateDict(a.stateDict())).toEqual({ missing: [], unexpected: [] });
    expect([...b.stateDict().values()].map(valuesOf)).toEqual([...a.stateDict().values()].map(valuesOf));
    expect(valuesOf(b.stateDict().get("1.num_batches_tracked") as Tensor)).toEqual([2]);
    expect(valuesOf(b.eval().forward(x))).toEqual(valuesOf(a.eval().forward(x)));
    expect(b.parameters().every((p) => p.requiresGrad)).toBe(true);
    // Values, not handles.
    a.dispose();
    expect(valuesOf(b.forward(x)).length).toBe(16);
  });

  test("a difference is told in full and changes nothing", () => {
    const net = small();
    const before = [...net.stateDict().values()].map(valuesOf);
    const state = new Map<string, Tensor>(small(2).stateDict());
    state.delete("0.bias");
    state.delete("4.weight");
    state.set("head.weight", zeros([1], { backend }));
    state.set("0.weight", zeros([3, 5], { backend }));
    state.set("1.weight", zeros([3], { backend, dtype: "float64" }));
    const load = () => net.loadStateDict(state);
    expect(load).toThrow(ArgumentError);
    expect(load).toThrow(
      "loadStateDict: the state does not fit the module\n" +
        "  missing: 0.bias, 4.weight\n" +
        "  unexpected: head.weight\n" +
        "  0.weight is float32 [3, 5] on cpu, expected float32 [3, 4] on cpu\n" +
        "  1.weight is float64 [3] on cpu, expected float32 [3] on cpu",
    );
    expect([...net.stateDict().values()].map(valuesOf)).toEqual(before);
  });

  test("without strict, names may differ, shapes not", () => {
    const net = small();
    const ones = zeros([3], { backend }).add(1);
    expect(
      net.loadStateDict(
        [
          ["0.bias", ones],
          ["extra", ones],
        ],
        { strict: false },
      ),
    ).toEqual({
      missing: [...net.stateDict().keys()].filter((name) => name !== "0.bias"),
      unexpected: ["extra"],
    });
    expect(valuesOf(net.stateDict().get("0.bias") as Tensor)).toEqual([1, 1, 1]);
    expect(() => net.loadStateDict([["0.weight", ones]], { strict: false })).toThrow("0.weight is float32 [3] on cpu");
  });

  test("counters that do not fit are refused", () => {
    const net = small();
    expect(() => net.loadCounters([["5.calls", 1]])).toThrow("missing: 3.calls\n  unexpected: 5.calls");
    expect(() => net.loadCounters([["3.calls", -1]])).toThrow("3.calls is -1, expected an integer >= 0");
    expect([...net.counters()]).toEqual([["3.calls", 0]]);
  });
});

describe("training", () => {
  test("freeze and unfreeze by name", () => {
    const net = small();
    const trainable = () => [...net.namedParameters()].filter(([, p]) => p.requiresGrad).map(([name]) => name);
    net.freeze((name) => name.startsWith("0."));
    expect(trainable()).toEqual(["1.weight", "1.bias", "4.weight", "4.bias"]);
    expect(net.parameters().length).toBe(6);
    net.freeze();
    expect(trainable()).toEqual([]);
    net.unfreeze((name) => name === "1.bias");
    expect(trainable()).toEqual(["1.bias"]);
  });

  test("gradients reach every parameter, and a step leaves nothing", () => {
    const net = build(nets["vgg_s"] as Layer, { backend, seed: 1 });
    const x = input(4, 3, 32, 32);
    const before = memoryUsage(backend);
    const { value, grads } = valueAndGrad(() => net.forward(x).square().mean(), net.parameters());
    expect(grads.every((g) => valuesOf(g).some((v) => v !== 0))).toBe(true);
    for (const t of [value, ...grads]) t.dispose();
    expect(memoryUsage(backend)).toMatchObject({
      tensors: before.tensors,
      storages: before.storages,
      bytes: before.bytes,
    });
  });

  test("a forward pass leaves its result, and in evaluation holds two activations at most", () => {
    const net = sequential(new Array(8).fill(relu()), { backend, seed: 1 });
    const x = input(1, 1000);
    const { tensors, bytes } = memoryUsage(backend);
    const y = net.forward(x);
    expect(memoryUsage(backend)).toMatchObject({ tensors: tensors + 1, bytes: bytes + 4000, peakBytes: bytes + 8000 });
    y.dispose();
    expect(sequential([identity(), flatten()], { backend, seed: 1 }).forward(x).shape).toEqual([1, 1000]);
    expect(x.isDisposed).toBe(false);
  });

  test("modules built in a scope outlive it", () => {
    const net = scope(() => [small()])[0];
    expect(net?.eval().forward(input(1, 4)).shape).toEqual([1, 2]);
  });

  test("dispose frees everything, and twice is once", () => {
    const net = build(nets["resnet20"] as Layer, { backend, seed: 1 });
    net.dispose();
    net.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0, bytes: 0 });
  });
});

describe("initialise: false", () => {
  test("leaves parameters 0 without asking their initialisers, and streams what they were", async () => {
    const never = () => {
      throw new Error("asked");
    };
    const layer = sequential([linear(4, 3, { weightInit: never, biasInit: never }), dropout(0.5)]);
    const net = build(layer, { backend, seed: 1, initialise: false });
    for (const parameter of net.parameters()) {
      expect(parameter.requiresGrad).toBe(true);
      expect(valuesOf(parameter).every((value) => value === 0)).toBe(true);
    }
    const drawn = build(sequential([linear(4, 3), dropout(0.5)]), { backend, seed: 1 });
    net.loadStateDict(drawn.stateDict());
    expect(valuesOf(net.forward(input(5, 4)))).toEqual(valuesOf(drawn.forward(input(5, 4))));
  });
});

describe("observing", () => {
  test("every layer's output is seen until one stops", () => {
    const net = build(sequential([linear(4, 3), sequential([relu()])]), { backend, seed: 1 });
    const seen: [string, readonly number[]][] = [];
    const stop = net.observe((name, output) => seen.push([name, (output as Tensor).shape]));
    net.forward(input(2, 4));
    expect(seen).toEqual([
      ["0", [2, 3]],
      ["1.0", [2, 3]],
      ["1", [2, 3]],
      ["", [2, 3]],
    ]);
    stop();
    net.forward(input(2, 4));
    expect(seen.length).toBe(4);
  });

  test("where nobody watches, a layer and the ReLU behind it are one op; the numbers are the same", () => {
    const asked: string[] = [];
    const declined = (op: string) => ({
      supports: () => {
        asked.push(op);
        return false;
      },
      run: () => {},
    });
    const fusing = ["conv2dRelu", "batchNormRelu"].map((op) => [op, declined(op)]);
    const own: Backend = { ...backend, kernels: { ...backend.kernels, ...Object.fromEntries(fusing) } };
    const layers = [conv2d(2, 3, 3), relu(), conv2d(3, 4, 1), batchNorm2d(4), relu(), relu(), conv2d(4, 1, 2)];
    const net = build(sequential([sequential(layers.slice(0, 2)), ...layers.slice(2)]), { backend: own, seed: 1 });
    const x = rand([2, 2, 6, 6], { backend: own, seed: 2 });
    const run = (): number[][] => {
      const { value, grads } = valueAndGrad(() => net.forward(x).square().sum(), net.parameters());
      return [value, ...grads].map(valuesOf);
    };
    const fused = run();
    expect(asked).toEqual(["conv2dRelu", "batchNormRelu"]);
    const seen: string[] = [];
    const stop = net.observe((name) => seen.push(name));
    expect(run()).toEqual(fused);
    expect(seen).toEqual(["0.0", "0.1", "0", "1", "2", "3", "4", "5", ""]);
    stop();
    expect(asked).toHaveLength(2);
    const restore = net.intercept((name, output) => (name === "0.0" ? (output as Tensor).abs() : undefined));
    expect(run()).not.toEqual(fused);
    restore();
    expect(run()).toEqual(fused);
  });

  test("an interceptor's tensor goes on in the place of a layer's output, until one stops", async () => {
    const net = build(sequential([relu(), relu()]), { backend, seed: 1 });
    const x = tensor([1, -2], { backend });
    const stop = net.intercept((name, output) => (name === "0" ? (output as Tensor).mul(3) : undefined));
    expect(await net.forward(x).toArray()).toEqual([3, 0]);
    stop();
    expect(await net.forward(x).toArray()).toEqual([1, 0]);
  });

  test("an output that is replaced, or whose watcher throws, is freed", () => {
    const net = build(sequential([relu()]), { backend, seed: 1 });
    const x = tensor([1, -2], { backend });
    const { tensors } = memoryUsage(backend);
    const stop = net.intercept((_, output) => (output as Tensor).mul(3).add(1));
    noGrad(() => net.forward(x)).dispose();
    expect(memoryUsage(backend).tensors).toBe(tensors);
    stop();
    net.observe((name, output) => {
      (output as Tensor).abs();
      if (name === "") throw new RangeError("seen enough");
    });
    expect(() => noGrad(() => net.forward(x))).toThrow(RangeError);
    expect(memoryUsage(backend).tensors).toBe(tensors);
  });

  test("entry observers see what a layer is called with, before its sublayers are", () => {
    const net = build(sequential([linear(4, 3), sequential([relu()])]), { backend, seed: 1 });
    const seen: string[] = [];
    const stop = net.observe(
      (name) => seen.push(`${name} done`),
      (name, [x]) => seen.push(`${name} of ${(x as Tensor).shape}`),
    );
    net.forward(input(2, 4));
    const all = [" of 2,4", "0 of 2,4", "0 done", "1 of 2,3", "1.0 of 2,3", "1.0 done", "1 done", " done"];
    expect(seen).toEqual(all);
    stop();
    net.forward(input(2, 4));
    expect(seen).toEqual(all);
  });

  test("an error of the root itself names no layer", () => {
    const call = () => build(linear(4, 3), { backend, seed: 1 }).forward(input(2, 5));
    expect(call).toThrow(ShapeError);
    expect(call).not.toThrow(/in layer/);
  });

  test("an error says in which layer it arose, once", () => {
    const net = build(sequential([relu(), sequential([linear(4, 3)])]), { backend, seed: 1 });
    const call = () => net.forward(input(2, 5));
    expect(call).toThrow(ShapeError);
    expect(call).toThrow(/\(in layer 1\.0\)$/);
    const { tensors } = memoryUsage(backend);
    expect(call).toThrow();
    // The input of this call, which is ours.
    expect(memoryUsage(backend).tensors).toBe(tensors + 1);
  });
});

describe("bad declarations", () => {
  const declare = (layer: Layer) => () => build(layer, { backend, seed: 1 });

  test.each<[string, Layer, string]>([
    ["a dot", (m) => m.child("a.b", relu()), 'module : "a.b" is no name, expected a text without dots'],
    ["no name", (m) => m.child("", relu()), '"" is no name'],
    [
      "a child twice",
      (m) => m.child("a", (n) => n.child("b", relu()) && n.child("b", relu())),
      'module a: "b" is declared twice',
    ],
    [
      "a parameter and a buffer of one name",
      (m) => {
        m.parameter("w", [1], init.constant(0));
        m.buffer("w", [1], 0);
        return (x) => x;
      },
      'module : "w" is declared twice',
    ],
  ])("%s", (_, layer, message) => {
    expect(declare(layer)).toThrow(ArgumentError);
    expect(declare(layer)).toThrow(message);
  });

  test("leak nothing", () => {
    const bad: Layer = (m) => {
      m.child("a", sequential([linear(2, 2), batchNorm1d(2)]));
      return m.child("a", relu());
    };
    expect(declare(bad)).toThrow('"a" is declared twice');
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test.each([-1, 0.5, Number.NaN])("seed %s", (seed) => {
    expect(() => build(relu(), { backend, seed })).toThrow(`build: seed is ${seed}, expected an integer >= 0`);
  });
});
