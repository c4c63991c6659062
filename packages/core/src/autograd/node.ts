import type { TensorSpec } from "../backend.js";
import { GradientError } from "../errors.js";
import type { Edge, Runtime, StorageRef } from "../runtime.js";
import { formatShape, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";

/** What a gradient rule sees. Tensors it makes are disposed afterwards, except those it returns. */
export interface GradientContext<A = unknown> {
  readonly attrs: A;
  readonly inputSpecs: readonly TensorSpec[];
  readonly outputSpecs: readonly TensorSpec[];
  /** Whether the gradient of input i is wanted; the rule may return null for the others. */
  readonly needs: readonly boolean[];
  /** An input that the op's rule declares in `saves`. */
  input(index: number): Tensor;
  /** An output that the op's rule declares in `saves`. */
  output(index: number): Tensor;
  /** The gradient that arrives at output `index` (default 0); zeros where none does. */
  grad(index?: number): Tensor;
}

/** One gradient per input, null where there is none. */
export type GradientRule<A = unknown> = (context: GradientContext<A>) => readonly (Tensor | null)[];

/**
 * Rules in place of the ops' own, by the name that the op has in messages: `relu`, `conv2d`. They may read what the op
 * saves. For gradients that are none, as guided backpropagation's.
 */
export type GradientRules = Readonly<Record<string, GradientRule<never>>>;

export interface Saves {
  readonly inputs?: readonly number[];
  readonly outputs?: readonly number[];
}

interface NodeInit {
  readonly op: string;
  readonly runtime: Runtime;
  readonly attrs: unknown;
  readonly rule: GradientRule<never>;
  readonly inputs: readonly Tensor[];
  readonly saves: Saves;
}

/**
 * A recorded op. It is owned by the tensors that it produced and by the nodes that consume them, and counted: when
 * the last owner goes, so do the activations it saved. Nothing waits for the garbage collector.
 */
export class GradNode {
  readonly op: string;
  readonly runtime: Runtime;
  /** Where each input's gradient goes; null for inputs that need none. Empty for a leaf. */
  edges: readonly (Edge | null)[] = [];
  /** The tensor whose `.grad` this node accumulates into, for a leaf. */
  readonly leaf: Tensor | null;
  readonly #attrs: unknown;
  readonly #rule: GradientRule<never> | null;
  readonly #inputSpecs: readonly TensorSpec[] = [];
  #outputSpecs: readonly TensorSpec[] = [];
  /** What the rule reads, by position. An output is saved without its edge, which is this very node. */
  #savedInputs: (StorageRef | undefined)[] = [];
  #savedOutputs: (StorageRef | undefined)[] = [];
  #owners = 0;
  #consumed = false;

  private constructor(init: NodeInit | null, leaf: Tensor | null) {
    this.leaf = leaf;
    this.op = init?.op ?? "leaf";
    this.runtime = (init?.runtime ?? leaf?.runtime) as Runtime;
    this.#attrs = init?.attrs;
    this.#rule = init?.rule ?? null;
    if (!init) return;
    this.#inputSpecs = init.inputs.map(({ shape, dtype }) => ({ shape, dtype }));
    this.edges = init.inputs.map((t) => t.edge);
    for (const edge of this.edges) edge?.node.retain();
    for (const i of init.saves.inputs ?? []) {
      const tensor = init.inputs[i];
      if (tensor) this.#save(this.#savedInputs, i, tensor);
    }
  }

  static leaf(tensor: Tensor): GradNode {
    return new GradNode(null, tensor);
  }

  static record(init: NodeInit): GradNode {
    return new GradNode(init, null);
  }

  /** Completes the record once the outputs exist. */
  setOutputs(outputs: readonly Tensor[], saves: Saves): void {
    this.#outputSpecs = outputs.map(({ shape, dtype }) => ({ shape, dtype }));
    for (const i of saves.outputs ?? []) this.#save(this.#savedOutputs, i, outputs[i] as Tensor);
  }

  #save(where: (StorageRef | undefined)[], index: number, tensor: Tensor): void {
    this.runtime.retain(tensor.ref);
    where[index] = tensor.ref;
  }

  retain(): void {
    this.#owners++;
  }

  /** Iterative: graphs are deep, call stacks are not. */
  release(): void {
    const pending: GradNode[] = [this];
    for (let node = pending.pop(); node; node = pending.pop()) {
      node.#owners--;
      if (node.#owners > 0) continue;
      node.#freeSaved();
      for (const edge of node.edges) if (edge) pending.push(edge.node);
      node.edges = [];
    }
  }

  #freeSaved(): void {
    for (const ref of this.#savedInputs) if (ref) this.runtime.release(ref);
    for (const ref of this.#savedOutputs) if (ref) this.runtime.release(ref);
    this.#savedInputs = [];
    this.#savedOutputs = [];
  }

  /** Frees the activations as backward passes by. A second backward is refused. */
  consume(): void {
    this.#consumed = true;
    this.#freeSaved();
  }

  /** @throws GradientError if a previous backward freed what this one needs. */
  backward(
    grads: readonly (Tensor | undefined)[],
    needs: readonly boolean[],
    rules: GradientRules,
  ): readonly (Tensor | null)[] {
    if (this.#consumed)
      throw new GradientError(
        `${this.op}: backward was called a second time over the same graph; pass createGraph or retainGraph to the first`,
      );
    const load = (
      ref: StorageRef | undefined,
      spec: TensorSpec | undefined,
      edge: Edge | null,
      what: string,
    ): Tensor => {
      if (!ref || !spec) throw new GradientError(`${this.op}: its gradient rule reads ${what}, which it does not save`);
      return this.runtime.tensor(ref, spec, edge);
    };
    const context: GradientContext<never> = {
      attrs: this.#attrs as never,
      inputSpecs: this.#inputSpecs,
      outputSpecs: this.#outputSpecs,
      needs,
      input: (i) => load(this.#savedInputs[i], this.#inputSpecs[i], this.edges[i] ?? null, `input ${i}`),
      output: (i) => load(this.#savedOutputs[i], this.#outputSpecs[i], { node: this, index: i }, `output ${i}`),
      grad: (index = 0) => grads[index] ?? this.#zeros(index),
    };
    const rule = Object.hasOwn(rules, this.op) ? rules[this.op] : this.#rule;
    const result = rule?.(context) ?? [];
    result.forEach((grad, i) => {
      const spec = this.#inputSpecs[i];
      if (!grad || !spec || !needs[i]) return;
      if (grad.dtype !== spec.dtype || !sameShape(grad.shape, spec.shape))
        throw new GradientError(
          `${this.op}: the gradient of input ${i} is ${grad.dtype} ${formatShape(grad.shape)}, ` +
            `the input ${spec.dtype} ${formatShape(spec.shape)}`,
        );
    });
    return result;
  }

  #zeros(output: number): Tensor {
    return this.runtime.filled(this.op, [this.#outputSpecs[output] as TensorSpec], 0)[0] as Tensor;
  }
}
