import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, crossEntropy, ones } from "@striate/core";
import { batches, syntheticDataset } from "@striate/data";
import { batchNorm2d, build, conv2d, dropout, flatten, linear, sequential } from "@striate/nn";
import { adam, lookahead, sgd } from "@striate/optim";
import { describe, expect, test } from "vitest";
import { fit } from "./fit.js";
import { captureState, type HostState, holdState, restoreState, type Trained } from "./state.js";
import { alive } from "./testing/problem.js";

const dataset = syntheticDataset({ count: 24, seed: 1, classes: 3, channels: 1, height: 4, width: 4 });
const layer = sequential([conv2d(1, 2, 3, { padding: 1 }), batchNorm2d(2), flatten(), dropout(0.5), linear(32, 3)]);

const create = async ({ lr = 0.1 } = {}) => {
  const backend = await createCpuBackend();
  const net = build(layer, { backend, seed: 1 });
  const optimizer = adam(net.parameters(), { lr });
  const slow = lookahead({ tensors: net.stateDict().values(), every: 2, decay: 0.5 });
  const trained: Trained = { net, optimizer, extras: { slow } };
  const train = (epochs: number, start = 0): Promise<unknown> =>
    fit({
      net,
      optimizer,
      loss: (logits, labels) => crossEntropy(logits, labels),
      batches: (epoch, first) => batches(dataset, { backend, size: 8, seed: 1, epoch, start: first }),
      epochs,
      start,
      callbacks: [{ afterStep: () => slow.step() }],
    });
  return { backend, net, optimizer, slow, trained, train };
};

describe("captureState and restoreState", () => {
  test("a run goes on bit for bit, in another net that was elsewhere before", async () => {
    const one = await create();
    await one.train(1);
    const halfway = await captureState(one.trained);
    await one.train(3, 3);

    const other = await create({ lr: 7 });
    await other.train(0.4);
    restoreState(halfway, other.trained);
    expect(await captureState(other.trained)).toEqual(halfway);
    await other.train(3, 3);
    expect(await captureState(other.trained)).toEqual(await captureState(one.trained));
  });

  test("the copy is one moment's", async () => {
    const { net, optimizer, trained, train } = await create();
    await train(1);
    const before = await captureState(trained);
    const capturing = captureState(trained);
    for (const group of optimizer.groups) group.lr = 5;
    for (const parameter of net.parameters()) parameter.assign(ones(parameter.shape, { backend: parameter.backend }));
    net.loadCounters([...net.counters()].map(([name]) => [name, 99]));
    expect(await capturing).toEqual(before);
  });

  test("which parameters are frozen is part of it", async () => {
    const { net, trained } = await create();
    net.freeze((name) => name.startsWith("0."));
    const frozen = await captureState(trained);
    net.unfreeze();
    net.freeze((name) => name === "4.weight");
    restoreState(frozen, trained);
    const free = [...net.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
    expect(free.map(([name]) => name)).toEqual(["1.weight", "1.bias", "4.weight", "4.bias"]);
  });

  test("neither leaves a tensor, nor does a failure", async () => {
    const { backend, trained, train } = await create();
    await train(1);
    const before = alive(backend);
    const state = await captureState(trained);
    restoreState(state, trained);
    expect(() => restoreState(new Map([...state, ["extra/more", state.get("net") as HostState]]), trained)).toThrow();
    expect(alive(backend)).toEqual(before);
  });

  const change = (name: string, edit: (state: HostState) => HostState) => (states: ReadonlyMap<string, HostState>) =>
    new Map([...states].map(([part, state]) => [part, part === name ? edit(state) : state]));
  const wrong: Record<string, [(states: ReadonlyMap<string, HostState>) => ReadonlyMap<string, HostState>, RegExp]> = {
    "a part is missing": [(states) => new Map([...states].slice(0, 2)), /missing: extra\/slow/],
    "a part is unexpected": [
      (states) => new Map([...states, ["extra/other", states.get("extra/slow") as HostState]]),
      /unexpected: extra\/other/,
    ],
    "the net's tensors do not fit": [
      change("net", (state) => ({ ...state, tensors: new Map([...state.tensors].slice(1)) })),
      /missing: 0\.weight/,
    ],
    "a frozen parameter is unknown": [
      change("net", (state) => ({ ...state, json: { frozen: ["8.weight"] } })),
      /unknown frozen parameters: 8\.weight/,
    ],
    "the optimizer is another": [
      change("optimizer", (state) => ({ ...state, json: { ...state.json, optimizer: "sgd" } })),
      /state of the optimizer sgd/,
    ],
    "an extra lacks its counter": [change("extra/slow", (state) => ({ ...state, counters: new Map() })), /step/],
  };
  test.each(Object.entries(wrong))("nothing is changed when %s", async (_, [spoil, message]) => {
    const { trained, train } = await create();
    await train(0.4);
    const other = await captureState(trained);
    await train(1, 1);
    const before = await captureState(trained);
    expect(() => restoreState(spoil(other), trained)).toThrow(message);
    expect(await captureState(trained)).toEqual(before);
  });

  test.each(["", "a/b"])("an extra cannot have the name %j", async (name) => {
    const { trained, slow } = await create();
    await expect(captureState({ ...trained, extras: { [name]: slow } })).rejects.toThrow(ArgumentError);
  });

  test("a net without parameters cannot be restored", async () => {
    const backend = await createCpuBackend();
    const optimizer = sgd([ones([1], { backend, requiresGrad: true })], { lr: 1 });
    const trained: Trained = { net: build(flatten(), { backend, seed: 1 }), optimizer };
    const state = await captureState(trained);
    expect(() => restoreState(state, trained)).toThrow("the net has no parameters");
  });
});

describe("holdState", () => {
  test("undoes training, and frees what it held", async () => {
    const { backend, trained, train } = await create();
    await train(1);
    const before = await captureState(trained);
    const used = alive(backend);
    const held = holdState(trained);
    await train(2, 3);
    expect(await captureState(trained)).not.toEqual(before);
    held.restore();
    held.release();
    expect(await captureState(trained)).toEqual(before);
    expect(alive(backend)).toEqual(used);
  });

  test("copies no element", async () => {
    const { backend, trained, train } = await create();
    await train(1);
    const { storages } = alive(backend) as { storages: number };
    const held = holdState(trained);
    expect(alive(backend)).toMatchObject({ storages });
    held.release();
  });
});
