import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, crossEntropy, memoryUsage, type Tensor, tensor } from "@striate/core";
import { batchNorm2d, build, conv2d, flatten, type Layer, linear, relu, sequential } from "@striate/nn";
import { sgd } from "@striate/optim";
import { beforeEach, describe, expect, test } from "vitest";
import { googlenet, parameterGroups, replaceLayer, stateShapes, within } from "./index.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const small =
  (classes: number): Layer =>
  (m) => {
    const body = m.child("body", sequential([conv2d(3, 4, 3, { bias: false }), batchNorm2d(4), relu(), flatten()]));
    const head = m.child("head", linear(16, classes));
    return (x) => head(body(x));
  };

const values = (tensors: ReadonlyMap<string, Tensor>) =>
  new Map([...tensors].map(([name, t]) => [name, [...t.dataSync()]]));

const images = () =>
  tensor(
    Float32Array.from({ length: 2 * 3 * 16 }, (_, i) => Math.sin(i)),
    { backend, shape: [2, 3, 4, 4] },
  );

describe("replaceLayer", () => {
  test("changes what is within the path and nothing else, initial values included", () => {
    const layer = replaceLayer(small(10), "head", sequential([relu(), linear(16, 3)]));
    const net = build(layer, { backend, seed: 4 });
    const before = values(build(small(10), { backend, seed: 4 }).stateDict());
    const after = values(net.stateDict());
    expect([...after.keys()].slice(-2)).toEqual(["head.1.weight", "head.1.bias"]);
    for (const [name, found] of after) if (!name.startsWith("head")) expect(found).toEqual(before.get(name));
    expect(net.forward(images()).shape).toEqual([2, 3]);
  });

  test("finds layers at any depth, and keeps modes", () => {
    const net = build(replaceLayer(small(10), "body.1", batchNorm2d(4, { affine: false })), { backend, seed: 4 });
    expect([...net.namedParameters().keys()]).toEqual(["body.0.weight", "head.weight", "head.bias"]);
    const x = images();
    const inTraining = [...net.forward(x).dataSync()];
    expect([...net.eval().forward(x).dataSync()]).not.toEqual(inTraining);
  });

  test("may be applied again", () => {
    const layer = replaceLayer(replaceLayer(googlenet(), "fc", linear(1024, 3)), "aux1.fc2", linear(1024, 5));
    const shapes = stateShapes(layer);
    expect(["fc.weight", "aux1.fc2.weight", "aux2.fc2.weight"].map((name) => shapes.get(name)?.shape[0])).toEqual([
      3, 5, 1000,
    ]);
  });

  test.each([
    ["tail", "replaceLayer: there is no layer tail; there are body, head"],
    ["body.9", "replaceLayer: there is no layer body.9; there are 0, 1, 2, 3"],
    ["head.0", "replaceLayer: there is no layer head.0; there are none"],
    ["", "replaceLayer: there is no layer ; there are body, head"],
  ])("refuses the path %j", (path, message) => {
    const layer = replaceLayer(small(10), path, relu());
    expect(() => build(layer, { backend, seed: 0 })).toThrow(new ArgumentError(message));
    expect(memoryUsage(backend).storages).toBe(0);
  });
});

describe("within", () => {
  test("takes names by layers, not by letters", () => {
    const isHead = within(["fc", "aux1.fc2"]);
    const names = ["fc.weight", "fc", "fc2.weight", "aux1.fc2.bias", "aux1.fc1.bias", "layer.fc.bias", ""];
    expect(names.filter(isHead)).toEqual(["fc.weight", "fc", "aux1.fc2.bias"]);
    expect(names.some(within([]))).toBe(false);
  });

  test("parts a head from what is trained, for loading and freezing", () => {
    const isHead = within(["head"]);
    const trained = build(small(10), { backend, seed: 1 });
    const net = build(small(3), { backend, seed: 2 });
    const before = values(net.stateDict());
    const body = [...trained.stateDict()].filter(([name]) => !isHead(name));
    const { missing } = net.loadStateDict(body, { strict: false });
    expect(missing).toEqual(["head.weight", "head.bias"]);
    const expected = values(trained.stateDict());
    for (const [name, found] of values(net.stateDict()))
      expect(found).toEqual((isHead(name) ? before : expected).get(name));
    net.freeze((name) => !isHead(name));
    const learning = [...net.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
    expect(learning.map(([name]) => name)).toEqual(missing);
  });
});

describe("parameterGroups", () => {
  const named = () => build(small(3), { backend, seed: 1 });

  test("the first rule that takes a parameter has it; what is left comes last", () => {
    const net = named();
    const parameters = net.namedParameters();
    const groups = parameterGroups(net, [
      { match: /\.bias$/, weightDecay: 0 },
      { match: "head", lr: 0.5 },
    ]);
    const names = groups.map(({ params }) =>
      [...parameters].filter(([, parameter]) => params.includes(parameter)).map(([name]) => name),
    );
    expect(names).toEqual([["body.1.bias", "head.bias"], ["head.weight"], ["body.0.weight", "body.1.weight"]]);
    expect(groups.map(({ params: _, ...hyper }) => hyper)).toEqual([{ weightDecay: 0 }, { lr: 0.5 }, {}]);
  });

  test("an expression with the flag g takes what it takes without", () => {
    const groups = parameterGroups(named(), [{ match: /weight/g, lr: 1 }]);
    expect(groups.map(({ params }) => params.length)).toEqual([3, 2]);
  });

  test("a path is one of layers, not of letters; a rule for all leaves no last group", () => {
    const net = named();
    expect(() => parameterGroups(net, [{ match: "hea", lr: 1 }])).toThrow(
      /^parameterGroups: rule 0 \(hea\) takes no parameter; there are body\.0\.weight, /,
    );
    expect(parameterGroups(net, [{ match: () => true, lr: 1 }]).length).toBe(1);
  });

  test("trains each group at its rate, and frozen ones not at all", () => {
    const net = named();
    net.freeze((name) => name.startsWith("body.0"));
    const before = values(net.namedParameters());
    const optimizer = sgd(parameterGroups(net, [{ match: "head", lr: 0.1 }]), { lr: 0 });
    const labels = tensor(Int32Array.of(0, 2), { backend });
    optimizer.step(() => crossEntropy(net.forward(images()), labels));
    const moved = [...values(net.namedParameters())].filter(([name, found]) => `${found}` !== `${before.get(name)}`);
    expect(moved.map(([name]) => name)).toEqual(["head.weight", "head.bias"]);
  });
});
