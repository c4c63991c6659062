/** The pure half: an update rule for one parameter, lifted to lists of them. No tensor is changed, none leaks. */
import {
  ArgumentError,
  type Arithmetic,
  full,
  noGrad,
  type PointwiseValue,
  pointwise,
  ShapeError,
  scope,
  type Tensor,
} from "@striate/core";

/** A parameter's running averages, by PyTorch's names; each has the parameter's shape. */
export type Slots = Readonly<Record<string, Tensor>>;

/** What a rule remembers of one parameter. */
export interface ParameterState {
  /** Updates so far. */
  readonly step: number;
  readonly slots: Slots;
}

export interface Updated {
  readonly params: Tensor[];
  readonly state: ParameterState[];
}

/** An optimizer as two pure functions over aligned lists; `H` holds its hyperparameters. */
export interface Rule<H extends object> {
  readonly name: string;
  /** Hyperparameters that need not be given. */
  readonly defaults: Partial<H>;
  /** @throws ArgumentError naming the optimizer, the hyperparameter and its value. */
  check(hyper: H): void;
  /** For rules that not every parameter suits; `name` is for the message. @throws ArgumentError */
  checkParameter?(param: Tensor, name: string): void;
  /** The constant that each slot starts from. */
  initialSlots(hyper: H): Readonly<Record<string, number>>;
  /** The caller disposes the slots. */
  init(params: readonly Tensor[], hyper: H): ParameterState[];
  /**
   * One step. The arguments stay as they are and stay alive; results are new tensors, which the caller
   * disposes. @throws ArgumentError, ShapeError for lists that do not fit.
   */
  update(params: readonly Tensor[], grads: readonly Tensor[], state: readonly ParameterState[], hyper: H): Updated;
}

/** Slots of a parameter while its update is worked out. */
export type Averages<T> = Readonly<Record<string, T>>;

/** What an optimizer says about one parameter; everything else is the same for all. */
interface RuleOf<H extends object> extends Pick<Rule<H>, "name" | "defaults" | "check" | "initialSlots"> {
  /** In the arithmetic of `pointwise`: an update is a single kernel, where the backend has it. `step` counts from 1. */
  updateOne<T extends Arithmetic<T>>(
    param: T,
    grad: T,
    state: { readonly step: number; readonly slots: Averages<T> },
    hyper: H,
  ): { param: T; slots: Averages<T> };
}

/** `Rule.init` for slots that start from constants. */
export const initialStates =
  <H extends object>(initialSlots: Rule<H>["initialSlots"]): Rule<H>["init"] =>
  (params, hyper) =>
    scope(() =>
      params.map(({ shape, backend, dtype }) => {
        const slots: Record<string, Tensor> = {};
        for (const [slot, value] of Object.entries(initialSlots(hyper)))
          slots[slot] = full(shape, value, { backend, dtype });
        return { step: 0, slots };
      }),
    );

/** @throws ArgumentError, ShapeError for lists that do not fit each other. */
export const expectFit = (name: string, params: readonly Tensor[], grads: readonly Tensor[], states: number): void => {
  if (grads.length !== params.length || states !== params.length)
    throw new ArgumentError(`${name}: ${params.length} parameters, but ${grads.length} gradients and ${states} states`);
  params.forEach((param, i) => {
    const grad = grads[i] as Tensor;
    if (grad.shape.join() !== param.shape.join())
      throw new ShapeError(
        `${name}: gradient ${i} is [${grad.shape.join(", ")}], its parameter [${param.shape.join(", ")}]`,
      );
  });
};

/** Lifts an update of one parameter to a rule. */
export const defineRule = <H extends object>({ updateOne, ...rest }: RuleOf<H>): Rule<H> => ({
  ...rest,
  init: initialStates(rest.initialSlots),
  update: (params, grads, state, hyper) => {
    rest.check(hyper);
    expectFit(rest.name, params, grads, state.length);
    return noGrad(() =>
      scope(() => {
        const next = params.map((param, i) => {
          const { step: done, slots: before } = state[i] as ParameterState;
          const step = done + 1;
          const old = Object.keys(before);
          let names: string[] = [];
          const [value, ...after] = pointwise(
            [param, grads[i] as Tensor, ...Object.values(before)],
            (p, g, ...values) => {
              const slots = Object.fromEntries(old.map((name, s) => [name, values[s] as PointwiseValue]));
              const updated = updateOne(p as PointwiseValue, g as PointwiseValue, { step, slots }, hyper);
              names = Object.keys(updated.slots);
              return [updated.param, ...Object.values(updated.slots)];
            },
          );
          const slots = Object.fromEntries(names.map((name, s) => [name, after[s] as Tensor]));
          return { param: value as Tensor, state: { step, slots } };
        });
        return { params: next.map((n) => n.param), state: next.map((n) => n.state) };
      }),
    );
  },
});

/** The slot, which the rule's own `initialSlots` made. */
export const slotOf = <T>(slots: Averages<T>, name: string): T => slots[name] as T;

/** The gradient with an L2 penalty's: g + weightDecay · p. */
export const withPenalty = <T extends Arithmetic<T>>(grad: T, param: T, weightDecay: number): T =>
  weightDecay === 0 ? grad : grad.add(param.mul(weightDecay));

/** rate · average + (1 - rate) · value */
export const movingAverage = <T extends Arithmetic<T>>(average: T, value: T, rate: number): T =>
  average.mul(rate).add(value.mul(1 - rate));
