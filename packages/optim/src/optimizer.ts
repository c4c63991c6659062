import { ArgumentError, DTypeError, keep, scope, type Tensor, valueAndGrad } from "@striate/core";
import { isFloat } from "@striate/core/backend";
import type { ParameterState, Rule, Slots } from "./rule.js";

/** Parameters that share hyperparameters. These may be set at any time; the next step uses and checks them. */
export type ParameterGroup<H extends object> = { readonly params: readonly Tensor[] } & H;

/** Everything a run needs to go on exactly where it was, besides the parameters themselves. */
export interface OptimizerState {
  /** `sgd`, `adam` … */
  readonly optimizer: string;
  /** `3.exp_avg`: the slot of parameter 3, counted through all groups. The optimizer's own handles, not copies. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** `3.step`: how often parameter 3 was updated. */
  readonly counters: ReadonlyMap<string, number>;
  /** Hyperparameters by group; JSON can carry them. */
  readonly groups: readonly Readonly<Record<string, unknown>>[];
}

/** Applied to the gradients before they are used, as by clipping. What it makes is freed with the step. */
export type GradientTransform = (grads: readonly Tensor[]) => readonly Tensor[];

export interface Optimizer<H extends object = { lr: number }> {
  readonly name: string;
  readonly groups: readonly ParameterGroup<H>[];
  /** The parameters that require a gradient now, in the order of the groups. The others are left alone. */
  trainable(): Tensor[];
  /**
   * Evaluate `loss`, differentiate, update. Leaves the parameters, the state and the result; everything else is freed.
   *
   * @returns the loss before the update, detached, the caller's to dispose.
   */
  step(loss: () => Tensor, transform?: GradientTransform): Tensor;
  /**
   * Update by gradients that match `trainable()`; they stay the caller's. All or nothing: if it throws, parameters
   * and state are what they were.
   */
  apply(grads: readonly Tensor[]): void;
  stateDict(): OptimizerState;
  /** The tensors stay the caller's. @throws ArgumentError listing what does not fit; nothing is changed then. */
  loadStateDict(state: OptimizerState): void;
  /** Frees the state; the parameters stay. */
  dispose(): void;
  [Symbol.dispose](): void;
}

type Given<H extends object, R extends keyof H> = Partial<H> & Pick<H, R>;

/** A group as it is given: what it leaves out comes from the options beside the groups, then from the defaults. */
export type GroupOptions<H extends object> = { readonly params: readonly Tensor[] } & Partial<H>;

/**
 * Makes an optimizer over parameters or groups of them. `R` names what has no default.
 *
 * @throws ArgumentError for bad hyperparameters, no parameters, or one that is named twice; DTypeError unless floats.
 */
export interface MakeOptimizer<H extends object, R extends keyof H = never> {
  (params: readonly Tensor[], ...options: [R] extends [never] ? [Partial<H>?] : [Given<H, R>]): Optimizer<H>;
  (groups: readonly GroupOptions<H>[], options?: Partial<H>): Optimizer<H>;
}

/** One parameter's state behind handles that live as long as the optimizer. */
interface Entry {
  readonly index: number;
  readonly param: Tensor;
  state: ParameterState | null;
}

const hyperOf = <H extends object>(group: ParameterGroup<H>): H => {
  const { params: _, ...hyper } = group;
  return hyper as unknown as H;
};

const expectParameters = (name: string, params: readonly Tensor[]): void => {
  if (params.length === 0) throw new ArgumentError(`${name}: no parameters`);
  const seen = new Set<Tensor>();
  params.forEach((param, i) => {
    if (!isFloat(param.dtype))
      throw new DTypeError(`${name}: parameter ${i} is ${param.dtype}, expected a float dtype`);
    if (seen.has(param)) throw new ArgumentError(`${name}: parameter ${i} appears twice`);
    seen.add(param);
  });
};

/** Rebind the handles in `before` to `after`'s values; adopt slots that are new, release those that are gone. */
const commit = (before: Slots, after: Slots): Slots => {
  const slots: Record<string, Tensor> = {};
  for (const [name, value] of Object.entries(after)) {
    const handle = before[name];
    if (handle && handle !== value) {
      handle.assign(value);
      value.dispose();
    }
    slots[name] = handle ?? keep(value);
  }
  for (const [name, handle] of Object.entries(before)) if (!(name in after)) handle.dispose();
  return slots;
};

class RuleOptimizer<H extends object> implements Optimizer<H> {
  readonly name: string;
  readonly groups: readonly ParameterGroup<H>[];
  /** One a group. */
  readonly #rules: readonly Rule<H>[];
  readonly #entries: readonly (readonly Entry[])[];

  constructor(rules: readonly Rule<H>[], groups: readonly GroupOptions<H>[]) {
    this.name = [...new Set(rules.map((rule) => rule.name))].join("+");
    this.#rules = rules;
    this.groups = groups.map((group, g) => ({ ...this.#ruleOf(g).defaults, ...group }) as unknown as ParameterGroup<H>);
    expectParameters(
      this.name,
      this.groups.flatMap((group) => group.params),
    );
    let index = 0;
    this.#entries = this.groups.map((group) => group.params.map((param) => ({ index: index++, param, state: null })));
    this.groups.forEach((group, g) => {
      this.#ruleOf(g).check(hyperOf(group));
      for (const { param, index } of this.#entries[g] as readonly Entry[])
        this.#ruleOf(g).checkParameter?.(param, `parameter ${index}`);
    });
  }

  #ruleOf(group: number): Rule<H> {
    return this.#rules[group] as Rule<H>;
  }

  trainable(): Tensor[] {
    return this.#entries.flat().flatMap(({ param }) => (param.requiresGrad ? [param] : []));
  }

  step(loss: () => Tensor, transform: GradientTransform = (grads) => grads): Tensor {
    const params = this.trainable();
    if (params.length === 0) throw new ArgumentError(`${this.name}: every parameter is frozen`);
    const { value, grads } = valueAndGrad(loss, params);
    try {
      scope(() => this.apply(transform(grads)));
    } catch (error) {
      value.dispose();
      throw error;
    } finally {
      for (const grad of grads) grad.dispose();
    }
    return value;
  }

  apply(grads: readonly Tensor[]): void {
    const work = this.groups.map((group, g) => {
      const entries = (this.#entries[g] as readonly Entry[]).filter(({ param }) => param.requiresGrad);
      return { rule: this.#ruleOf(g), hyper: hyperOf(group), entries };
    });
    const expected = work.reduce((n, { entries }) => n + entries.length, 0);
    if (grads.length !== expected)
      throw new ArgumentError(
        `${this.name}: ${grads.length} gradients, expected ${expected}, one a trainable parameter`,
      );
    // Two phases, so that running out of memory in the first leaves nothing half updated.
    let taken = 0;
    const results = scope(() =>
      work.map(({ rule, hyper, entries }) => {
        const params = entries.map((entry) => entry.param);
        const states = entries.map((entry) => entry.state ?? (rule.init([entry.param], hyper)[0] as ParameterState));
        const updated = rule.update(params, grads.slice(taken, taken + entries.length), states, hyper);
        taken += entries.length;
        return updated;
      }),
    );
    work.forEach(({ entries }, g) => {
      entries.forEach((entry, i) => {
        const { params, state } = results[g] as ReturnType<Rule<H>["update"]>;
        const value = params[i] as Tensor;
        entry.param.assign(value);
        value.dispose();
        const { step, slots } = state[i] as ParameterState;
        entry.state = { step, slots: commit(entry.state?.slots ?? {}, slots) };
      });
    });
  }

  #slotNames(group: number, hyper: H): string[] {
    return Object.keys(this.#ruleOf(group).initialSlots(hyper));
  }

  stateDict(): OptimizerState {
    const tensors = new Map<string, Tensor>();
    const counters = new Map<string, number>();
    this.#entries.forEach((group, g) => {
      // Slots of an option that was switched off since the last step are not used any more.
      const used = this.#slotNames(g, hyperOf(this.groups[g] as ParameterGroup<H>));
      for (const { index, state } of group) {
        if (!state) continue;
        counters.set(`${index}.step`, state.step);
        for (const [slot, tensor] of Object.entries(state.slots))
          if (used.includes(slot)) tensors.set(`${index}.${slot}`, tensor);
      }
    });
    return {
      optimizer: this.name,
      tensors,
      counters,
      groups: this.groups.map((group) => ({ ...(hyperOf(group) as Record<string, unknown>) })),
    };
  }

  loadStateDict(state: OptimizerState): void {
    const hypers = this.#readGroups(state);
    const entries = this.#entries.flatMap((group, g) => {
      // Those of an option that was switched on after the last step: no parameter has them before the next one.
      const always = this.#slotNames(g, this.#ruleOf(g).defaults as H);
      const slotNames = this.#slotNames(g, hypers[g] as H).filter(
        (slot) => always.includes(slot) || group.some(({ index }) => state.tensors.has(`${index}.${slot}`)),
      );
      return group.map((entry) => ({ entry, slotNames }));
    });
    const problems: string[] = [];
    const known = new Set<string>();
    const loaded = entries.map(({ entry, slotNames }): ParameterState | null => {
      const { index, param } = entry;
      const step = state.counters.get(`${index}.step`);
      known.add(`${index}.step`);
      if (step === undefined) return null;
      if (!Number.isSafeInteger(step) || step < 0) problems.push(`${index}.step is ${step}, expected an integer >= 0`);
      const slots: Record<string, Tensor> = {};
      for (const slot of slotNames) {
        const name = `${index}.${slot}`;
        known.add(name);
        const tensor = state.tensors.get(name);
        if (!tensor) problems.push(`missing ${name}`);
        else if (tensor.shape.join() !== param.shape.join() || tensor.dtype !== param.dtype)
          problems.push(
            `${name} is ${tensor.dtype} [${tensor.shape.join(", ")}], expected ${param.dtype} [${param.shape.join(", ")}]`,
          );
        else slots[slot] = tensor;
      }
      return { step, slots };
    });
    for (const name of [...state.tensors.keys(), ...state.counters.keys()])
      if (!known.has(name)) problems.push(`unexpected ${name}`);
    if (problems.length > 0) throw new ArgumentError(`${this.name}: the state does not fit: ${problems.join("; ")}`);

    // Before the old ones are freed: the state may be the optimizer's own, which has its handles.
    const states = scope(() =>
      loaded.map((from): ParameterState | null => {
        if (!from) return null;
        const slots = Object.entries(from.slots).map(([slot, tensor]) => [slot, tensor.detach()] as const);
        return { step: from.step, slots: Object.fromEntries(slots) };
      }),
    );
    this.dispose();
    entries.forEach(({ entry }, i) => {
      const state = states[i] as ParameterState | null;
      for (const tensor of Object.values(state?.slots ?? {})) keep(tensor);
      entry.state = state;
    });
    this.groups.forEach((group, g) => {
      Object.assign(group, hypers[g]);
    });
  }

  /** The hyperparameters in `state`, checked. */
  #readGroups(state: OptimizerState): H[] {
    if (state.optimizer !== this.name)
      throw new ArgumentError(`${this.name}: this is the state of the optimizer ${state.optimizer}`);
    if (state.groups.length !== this.groups.length)
      throw new ArgumentError(
        `${this.name}: the state has ${state.groups.length} groups, expected ${this.groups.length}`,
      );
    return this.groups.map((group, g) => {
      const own = hyperOf(group);
      const saved = state.groups[g] as Readonly<Record<string, unknown>>;
      const missing = Object.keys(own).filter((key) => !(key in saved));
      if (missing.length > 0)
        throw new ArgumentError(`${this.name}: group ${g} of the state lacks ${missing.join(", ")}`);
      const hyper = Object.fromEntries(Object.keys(own).map((key) => [key, saved[key]])) as H;
      this.#ruleOf(g).check(hyper);
      return hyper;
    });
  }

  dispose(): void {
    for (const entry of this.#entries.flat()) {
      for (const tensor of Object.values(entry.state?.slots ?? {})) tensor.dispose();
      entry.state = null;
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

const isGroups = <H extends object>(
  given: readonly Tensor[] | readonly GroupOptions<H>[],
): given is readonly GroupOptions<H>[] => given.length > 0 && given.every((item) => "params" in item);

/** An optimizer that keeps the state of a rule and rebinds the parameters' handles. */
export const optimizerOf = <H extends object, R extends keyof H = never>(rule: Rule<H>): MakeOptimizer<H, R> =>
  ((given: readonly Tensor[] | readonly GroupOptions<H>[], options: Partial<H> = {}) => {
    const groups = isGroups<H>(given) ? given : [{ params: given } as GroupOptions<H>];
    return new RuleOptimizer(
      groups.map(() => rule),
      groups.map((group) => ({ ...options, ...group })),
    );
  }) as MakeOptimizer<H, R>;

/** A group with the rule that updates it: `sgdRule`, `muonRule` … What it leaves out are the rule's defaults. */
export type RuleGroup<H extends object> = GroupOptions<H> & { readonly rule: Rule<H> };

/**
 * One optimizer whose groups have rules of their own, as Muon for filters beside SGD for the rest: one step, which is
 * all or nothing, and one state. Its name is theirs: `muon+sgd`.
 *
 * @throws as the optimizers themselves
 */
export const mixedOptimizer = <const Hs extends readonly object[]>(
  groups: {
    readonly [I in keyof Hs]: RuleGroup<Hs[I]>;
  },
): Optimizer<Hs[number]> => {
  type H = Hs[number];
  const given = groups as unknown as readonly RuleGroup<H>[];
  if (given.length === 0) throw new ArgumentError("mixedOptimizer: no groups");
  return new RuleOptimizer<H>(
    given.map(({ rule }) => rule),
    given.map(({ rule: _, ...group }) => group as unknown as GroupOptions<H>),
  );
};
