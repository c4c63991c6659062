import { createCpuBackend } from "@striate/backend-cpu";
import {
  ArgumentError,
  type Backend,
  DisposedError,
  DTypeError,
  memoryUsage,
  ShapeError,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@striate/core";
import { beforeEach, describe, expect, test } from "vitest";
import { adadelta, adadeltaRule } from "./adadelta.js";
import { adagrad, adagradRule } from "./adagrad.js";
import { adam, adamRule, adamw, adamwRule } from "./adam.js";
import { clipGradNorm, clipGradValue } from "./clip.js";
import type { MakeOptimizer, Optimizer } from "./optimizer.js";
import { rmsprop, rmspropRule } from "./rmsprop.js";
import type { Rule } from "./rule.js";
import { sgd, sgdRule } from "./sgd.js";
import { camelCaseKeys, readVectors, worstRelative } from "./testing/vectors.js";

interface GoldenOptimizer {
  readonly optimizer: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly initial: readonly number[];
  readonly grads: readonly (readonly number[])[];
  readonly params: readonly (readonly number[])[];
}

// The inputs are float32 values, written with nine digits.
const golden = readVectors<readonly GoldenOptimizer[]>("training/optimizers.json").map((g) => ({
  ...g,
  initial: g.initial.map(Math.fround),
  grads: g.grads.map((step) => step.map(Math.fround)),
}));

type AnyMake = (params: readonly Tensor[] | readonly { params: readonly Tensor[] }[], options: object) => Optimizer;

const makers = { sgd, adam, adamw, rmsprop, adagrad, adadelta } as unknown as Readonly<Record<string, AnyMake>>;
const rules = {
  sgd: sgdRule,
  adam: adamRule,
  adamw: adamwRule,
  rmsprop: rmspropRule,
  adagrad: adagradRule,
  adadelta: adadeltaRule,
} as unknown as Readonly<Record<string, Rule<object>>>;

/** Options under which every slot of every optimizer is in use. */
const busy: readonly (readonly [string, object])[] = [
  ["sgd", { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }],
  ["adam", { lr: 0.01, weightDecay: 0.1, amsgrad: true }],
  ["adamw", { lr: 0.01 }],
  ["rmsprop", { momentum: 0.5, centered: true, weightDecay: 0.1 }],
  ["adagrad", { lrDecay: 0.1, weightDecay: 0.1, initialAccumulatorValue: 0.2 }],
  ["adadelta", { weightDecay: 0.1 }],
];

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const param = (values: readonly number[], dtype: "float32" | "float64" = "float64"): Tensor =>
  tensor(values as number[], { backend, dtype, requiresGrad: true });
const constant = (values: readonly number[]): Tensor => tensor(values as number[], { backend, dtype: "float64" });
const values = (t: Tensor): number[] => Array.from(t.dataSync());

describe("golden vectors", () => {
  test("there is a case for each", () => {
    expect([...new Set(golden.map((g) => g.optimizer))].sort()).toEqual(Object.keys(makers).sort());
  });

  test.each(golden)("$optimizer $options", ({ optimizer, options, initial, grads, params }) => {
    const p = param(initial);
    const o = (makers[optimizer] as AnyMake)([p], camelCaseKeys(options));
    grads.forEach((g, step) => {
      o.apply([constant(g)]);
      expect(worstRelative(values(p), params[step] as readonly number[], 1e-2)).toBeLessThan(1e-7);
    });
  });

  test.each(golden)("float32: $optimizer $options", ({ optimizer, options, initial, grads, params }) => {
    const p = param(initial, "float32");
    const o = (makers[optimizer] as AnyMake)([p], camelCaseKeys(options));
    for (const g of grads) o.apply([tensor(g as number[], { backend })]);
    expect(worstRelative(values(p), params.at(-1) as readonly number[], 0.1)).toBeLessThan(2e-5);
  });
});

describe.each(busy)("%s", (name, options) => {
  const make = makers[name] as AnyMake;
  const rule = rules[name] as Rule<object>;

  test("update is pure and frees its temporaries", () => {
    const hyper = { ...rule.defaults, ...options };
    const p = [param([1, -2]), param([3])];
    const g = [constant([0.1, 0.2]), constant([-1])];
    const before = rule.init(p, hyper);
    const usage = memoryUsage(backend);
    const first = rule.update(p, g, before, hyper);
    const again = rule.update(p, g, before, hyper);
    expect(first.params.map(values)).toEqual(again.params.map(values));
    expect(p.map(values)).toEqual([[1, -2], [3]]);
    expect(first.params.some((t) => t.requiresGrad)).toBe(false);
    expect(first.state.map((s) => s.step)).toEqual([1, 1]);
    for (const { params, state } of [first, again])
      for (const t of [...params, ...state.flatMap((s) => Object.values(s.slots))]) t.dispose();
    expect(memoryUsage(backend)).toMatchObject({
      tensors: usage.tensors,
      storages: usage.storages,
      bytes: usage.bytes,
    });
  });

  test("a step leaves the parameters, the state and the loss", () => {
    const p = param([1, -2]);
    const o = make([p], options);
    const step = (): Tensor => o.step(() => p.square().sum());
    step().dispose();
    const { tensors, storages, bytes } = memoryUsage(backend);
    const slots = o.stateDict().tensors.size;
    expect({ tensors, storages, bytes }).toEqual({ tensors: 1 + slots, storages: 1 + slots, bytes: 16 * (1 + slots) });
    const loss = step();
    expect(memoryUsage(backend)).toMatchObject({ tensors: tensors + 1, storages: storages + 1, bytes: bytes + 8 });
    expect(loss.requiresGrad).toBe(false);
    loss.dispose();
    o.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1 });
    expect(p.isDisposed).toBe(false);
  });

  test("resumes bit for bit from its state", () => {
    const run = (p: Tensor, o: Optimizer, steps: number): void => {
      for (let i = 0; i < steps; i++) o.step(() => p.sub(0.3).square().sum()).dispose();
    };
    const straight = param([1, -2, 0.5]);
    run(straight, make([straight], options), 7);

    const first = param([1, -2, 0.5]);
    const saved = make([first], options);
    run(first, saved, 3);
    const resumed = param(values(first));
    // Other hyperparameters, which the state overrules.
    const o = make([resumed], { ...options, lr: 0.7 });
    o.loadStateDict(saved.stateDict());
    saved.dispose();
    run(resumed, o, 4);
    expect(values(resumed)).toEqual(values(straight));
  });

  test("refuses bad hyperparameters", () => {
    const p = param([1]);
    expect(() => make([p], { ...options, lr: -0.1 })).toThrow(ArgumentError);
    expect(() => make([p], { ...options, lr: -0.1 })).toThrow(`${name}: lr is -0.1, expected a finite number >= 0`);
    expect(() => make([p], { ...options, weightDecay: Number.NaN })).toThrow(`${name}: weightDecay is NaN`);
  });
});

describe("hyperparameters", () => {
  test.each([
    [sgd, { lr: 0.1, momentum: -1 }, "sgd: momentum is -1"],
    [sgd, { lr: 0.1, dampening: Number.POSITIVE_INFINITY }, "sgd: dampening is Infinity, expected a finite number"],
    [sgd, { lr: 0.1, nesterov: true }, "sgd: nesterov needs momentum > 0 and dampening 0, got 0 and 0"],
    [sgd, { lr: 0.1, momentum: 0.9, dampening: 0.1, nesterov: true }, "got 0.9 and 0.1"],
    [sgd, {}, "sgd: lr is undefined"],
    [adam, { betas: [0.9, 1] }, "adam: beta2 is 1, expected a number in [0, 1)"],
    [adamw, { betas: [-0.1, 0.9] }, "adamw: beta1 is -0.1"],
    [adam, { eps: -1 }, "adam: eps is -1"],
    [rmsprop, { alpha: 1 }, "rmsprop: alpha is 1"],
    [rmsprop, { momentum: -0.5 }, "rmsprop: momentum is -0.5"],
    [adagrad, { lrDecay: -1 }, "adagrad: lrDecay is -1"],
    [adagrad, { initialAccumulatorValue: -1 }, "adagrad: initialAccumulatorValue is -1"],
    [adadelta, { rho: 1.5 }, "adadelta: rho is 1.5"],
  ] as const)("%#", (make, options, message) => {
    const call = () => (make as unknown as AnyMake)([param([1])], options);
    expect(call).toThrow(ArgumentError);
    expect(call).toThrow(message);
  });

  test("changed while it runs, they are used and checked", () => {
    const p = param([1]);
    const o = sgd([p], { lr: 0.1 });
    const [group] = o.groups;
    if (!group) throw new Error("no group");
    group.lr = 0.5;
    o.apply([constant([1])]);
    expect(values(p)).toEqual([0.5]);
    group.lr = Number.NaN;
    expect(() => o.apply([constant([1])])).toThrow("sgd: lr is NaN");
    expect(values(p)).toEqual([0.5]);
  });

  test("momentum and amsgrad switched on later start their slots then", () => {
    const p = param([1]);
    const o = sgd([p], { lr: 1 });
    o.apply([constant([1])]);
    const group = o.groups[0] as (typeof o.groups)[number];
    group.momentum = 0.5;
    o.apply([constant([1])]);
    o.apply([constant([1])]);
    expect(values(p)).toEqual([1 - 1 - 1 - 1.5]);
    group.momentum = 0;
    o.apply([constant([1])]);
    expect(o.stateDict().tensors.size).toBe(0);

    const q = param([1]);
    const a = adam([q], {});
    a.apply([constant([2])]);
    (a.groups[0] as (typeof a.groups)[number]).amsgrad = true;
    a.apply([constant([0])]);
    a.apply([constant([0])]);
    const { tensors } = a.stateDict();
    expect(values(tensors.get("0.max_exp_avg_sq") as Tensor)[0]).toBeGreaterThan(
      values(tensors.get("0.exp_avg_sq") as Tensor)[0] as number,
    );
  });
});

describe("parameters", () => {
  test("groups have their own hyperparameters over the shared and the default ones", () => {
    const [a, b, c] = [param([1]), param([1]), param([1])];
    const o = sgd(
      [
        { params: [a], lr: 0.5 },
        { params: [b, c], weightDecay: 1 },
      ],
      { lr: 0.1, weightDecay: 0.5 },
    );
    expect(o.groups.map(({ lr, weightDecay, momentum }) => [lr, weightDecay, momentum])).toEqual([
      [0.5, 0.5, 0],
      [0.1, 1, 0],
    ]);
    o.apply([constant([1]), constant([1]), constant([2])]);
    expect([a, b, c].map((p) => values(p)[0])).toEqual([1 - 0.5 * 1.5, 1 - 0.1 * 2, 1 - 0.1 * 3]);
  });

  test("frozen ones are passed over, and their own steps start when they thaw", () => {
    const [a, b] = [param([1]), param([1]).setRequiresGrad(false)];
    const o = adam([a, b], { lr: 0.1 });
    const loss = (): Tensor => a.mul(b).sum();
    o.step(loss).dispose();
    expect(values(b)).toEqual([1]);
    expect([...o.stateDict().counters]).toEqual([["0.step", 1]]);
    b.setRequiresGrad(true);
    a.setRequiresGrad(false);
    o.step(loss).dispose();
    expect(values(b)[0]).toBeCloseTo(0.9, 6);
    expect([...o.stateDict().counters]).toEqual([
      ["0.step", 1],
      ["1.step", 1],
    ]);
    b.setRequiresGrad(false);
    expect(() => o.step(loss)).toThrow("adam: every parameter is frozen");
  });

  test("gradients that share storage, as those of a sum, give independent slots", () => {
    const [a, b] = [param([1]), param([2])];
    const o = sgd([a, b], { lr: 0.1, momentum: 0.9 });
    for (let i = 0; i < 3; i++) o.step(() => a.add(b).sum()).dispose();
    expect(values(a)[0]).toBeCloseTo(1 - 0.1 * (1 + 1.9 + 2.71), 12);
    expect(values(b)[0]).toBeCloseTo(2 - 0.1 * (1 + 1.9 + 2.71), 12);
  });

  test("bad lists are refused", () => {
    const p = param([1]);
    expect(() => sgd([], { lr: 1 })).toThrow("sgd: no parameters");
    expect(() => sgd([p, p], { lr: 1 })).toThrow("sgd: parameter 1 appears twice");
    expect(() => sgd([{ params: [p] }, { params: [p] }], { lr: 1 })).toThrow("sgd: parameter 1 appears twice");
    expect(() => sgd([tensor([1], { backend, dtype: "int32" })], { lr: 1 })).toThrow(DTypeError);
    expect(() => sgd([p], { lr: 1 }).apply([])).toThrow("sgd: 0 gradients, expected 1");
    expect(() => sgd([p], { lr: 1 }).apply([constant([1, 2])])).toThrow(ShapeError);
    expect(() =>
      sgdRule.update([p], [p], [], { lr: 1, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false }),
    ).toThrow("sgd: 1 parameters, but 1 gradients and 0 states");
  });
});

describe("step", () => {
  test("returns the loss before the update and transforms gradients", () => {
    const p = param([3]);
    const o = sgd([p], { lr: 1 });
    const loss = o.step(
      () => p.square().sum(),
      (grads) => clipGradValue(grads, 0.5),
    );
    expect(values(loss)).toEqual([9]);
    expect(values(p)).toEqual([2.5]);
    loss.dispose();
    expect(memoryUsage(backend).tensors).toBe(1);
  });

  test("works inside a scope of the caller, and the state outlives it", () => {
    const p = param([3]);
    const o = adam([p], { lr: 0.1 });
    for (let i = 0; i < 3; i++)
      scope(() => {
        o.step(() => p.square().sum());
      });
    const slots = o.stateDict().tensors;
    expect([...slots.keys()]).toEqual(["0.exp_avg", "0.exp_avg_sq"]);
    expect(memoryUsage(backend).tensors).toBe(3);
  });

  test("a failure leaks nothing and changes nothing", () => {
    const [a, b] = [param([1]), param([2])];
    const o = sgd([{ params: [a], momentum: 0.9 }, { params: [b] }], { lr: 0.1 });
    o.step(() => a.add(b).sum()).dispose();
    const before = [a, b, ...o.stateDict().tensors.values()].map(values);
    const usage = memoryUsage(backend);
    const last = o.groups[1] as (typeof o.groups)[number];
    last.lr = -1;
    expect(() => o.step(() => a.add(b).sum())).toThrow("sgd: lr is -1");
    last.lr = 0.1;
    expect(() =>
      o.step(
        () => a.add(b).sum(),
        () => [],
      ),
    ).toThrow("0 gradients, expected 2");
    expect(() =>
      o.step(() => {
        a.add(b);
        throw new RangeError("from the loss");
      }),
    ).toThrow(RangeError);
    expect([a, b, ...o.stateDict().tensors.values()].map(values)).toEqual(before);
    expect(memoryUsage(backend)).toMatchObject({
      tensors: usage.tensors,
      storages: usage.storages,
      bytes: usage.bytes,
    });
  });
});

describe("loadStateDict", () => {
  const trained = (make: MakeOptimizer<never> = adam as never): { p: Tensor; o: Optimizer } => {
    const p = param([1, 2]);
    const o = (make as unknown as AnyMake)([p], { lr: 0.1 });
    o.step(() => p.square().sum()).dispose();
    return { p, o };
  };

  test.each([
    ["another optimizer", { optimizer: "sgd" }, "adam: this is the state of the optimizer sgd"],
    ["other groups", { groups: [] }, "adam: the state has 0 groups, expected 1"],
    [
      "hyperparameters missing",
      { groups: [{ lr: 0.1 }] },
      "adam: group 0 of the state lacks betas, eps, weightDecay, amsgrad",
    ],
    [
      "hyperparameters out of range",
      { groups: [{ lr: -1, betas: [0.9, 0.9], eps: 1, weightDecay: 0, amsgrad: false }] },
      "adam: lr is -1",
    ],
    ["slots missing", { tensors: new Map() }, "adam: the state does not fit: missing 0.exp_avg; missing 0.exp_avg_sq"],
    [
      "parameters of another network",
      {
        counters: new Map([
          ["0.step", 1],
          ["7.step", 1],
        ]),
      },
      "unexpected 7.step",
    ],
    ["a count that is none", { counters: new Map([["0.step", -1]]) }, "0.step is -1, expected an integer >= 0"],
  ])("refuses %s and changes nothing", (_, change, message) => {
    const { o } = trained();
    const { o: target } = trained();
    const before = [...target.stateDict().tensors.values()].map(values);
    expect(() => target.loadStateDict({ ...o.stateDict(), ...change })).toThrow(message);
    expect([...target.stateDict().tensors.values()].map(values)).toEqual(before);
  });

  test.each([
    ["sgd", { momentum: 0 }, { momentum: 0.9 }],
    ["adam", { amsgrad: false }, { amsgrad: true }],
    ["rmsprop", { momentum: 0, centered: false }, { momentum: 0.9, centered: true }],
  ])("%s: options switched since the last step", (name, off, on) => {
    const make = makers[name] as AnyMake;
    for (const [before, after] of [
      [off, on],
      [on, off],
    ] as const) {
      const [p, q] = [param([1, 2]), param([1, 2])];
      const [original, restored] = [p, q].map((x) => make([x], { lr: 0.1, ...before })) as [Optimizer, Optimizer];
      for (let i = 0; i < 2; i++) original.step(() => p.square().sum()).dispose();
      q.assign(p);
      Object.assign(original.groups[0] as object, after);
      restored.loadStateDict(original.stateDict());
      for (const [x, optimizer] of [[p, original] as const, [q, restored] as const])
        for (let i = 0; i < 2; i++) optimizer.step(() => x.square().sum()).dispose();
      expect(values(q)).toEqual(values(p));
      expect([...restored.stateDict().tensors.keys()]).toEqual([...original.stateDict().tensors.keys()]);
    }
  });

  test("refuses a state that has an option's slots for some parameters only", () => {
    const [a, b] = [param([1]), param([2])];
    const o = sgd([a, b], { lr: 0.1, momentum: 0.9 });
    o.step(() => a.add(b).sum()).dispose();
    const { tensors, ...state } = o.stateDict();
    const part = new Map([...tensors].slice(0, 1));
    expect(() => o.loadStateDict({ ...state, tensors: part })).toThrow("missing 1.momentum_buffer");
  });

  test("refuses slots of another shape", () => {
    const { o } = trained();
    const other = adam([param([1, 2, 3])], {});
    expect(() => other.loadStateDict(o.stateDict())).toThrow("0.exp_avg is float64 [2], expected float64 [3]");
  });

  test("leaves the given tensors to the caller", () => {
    const { o } = trained();
    const { o: target } = trained();
    const { tensors } = memoryUsage(backend);
    target.loadStateDict(o.stateDict());
    target.loadStateDict(o.stateDict());
    expect(memoryUsage(backend).tensors).toBe(tensors);
    target.dispose();
    expect([...o.stateDict().tensors.values()].every((t) => !t.isDisposed)).toBe(true);
  });

  test("its own state changes nothing; one with a freed tensor neither", () => {
    const { o } = trained();
    const before = [...o.stateDict().tensors.values()].map(values);
    o.loadStateDict(o.stateDict());
    expect([...o.stateDict().tensors.values()].map(values)).toEqual(before);
    const { o: other } = trained();
    const freed = other.stateDict();
    other.dispose();
    const { tensors } = memoryUsage(backend);
    expect(() => o.loadStateDict(freed)).toThrow(DisposedError);
    expect([...o.stateDict().tensors.values()].map(values)).toEqual(before);
    expect(memoryUsage(backend).tensors).toBe(tensors);
  });

  test("of an optimizer that never stepped is empty", () => {
    const { o } = trained();
    o.loadStateDict(adam([param([1, 2])], {}).stateDict());
    expect(o.stateDict().tensors.size).toBe(0);
  });
});

describe("clipping", () => {
  test("clipGradNorm scales all gradients by one factor", () => {
    const grads = [constant([3, 0]), constant([[4]].flat())];
    const { grads: clipped, norm } = clipGradNorm(grads, 1);
    expect(values(norm)).toEqual([5]);
    expect(clipped.flatMap(values)).toEqual([0.6, 0, 0.8].map((v) => expect.closeTo(v, 6)));
    expect(clipGradNorm(grads, 10).grads.flatMap(values)).toEqual([3, 0, 4]);
  });

  test("clipGradNorm frees its temporaries", () => {
    const grads = [constant([3, 0])];
    const { tensors } = memoryUsage(backend);
    const { grads: clipped, norm } = clipGradNorm(grads, 1);
    for (const t of [...clipped, norm]) t.dispose();
    expect(memoryUsage(backend).tensors).toBe(tensors);
  });

  test("clipGradValue clips each element", () => {
    expect(clipGradValue([constant([-3, 0.5, 2])], 1).flatMap(values)).toEqual([-1, 0.5, 1]);
  });

  test("bad limits are refused", () => {
    expect(() => clipGradNorm([constant([1])], -1)).toThrow("clipGradNorm: maxNorm is -1");
    expect(() => clipGradValue([constant([1])], Number.NaN)).toThrow("clipGradValue: limit is NaN");
    expect(() => clipGradNorm([], 1)).toThrow();
  });
});

test("apply works with gradients of one's own making", () => {
  const p = param([2]);
  const o = sgd([p], { lr: 0.25 });
  const { grads } = valueAndGrad(() => p.square().sum(), o.trainable());
  o.apply(grads);
  expect(values(p)).toEqual([1]);
});
