import { withContext } from "../context.js";
import type { Edge } from "../runtime.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import type { GradientRules, GradNode } from "./node.js";

/** Nodes in an order where every node stands after those it depends on. */
const topologicalOrder = (root: GradNode): GradNode[] => {
  const order: GradNode[] = [];
  const seen = new Set<GradNode>([root]);
  const stack: { node: GradNode; next: number }[] = [{ node: root, next: 0 }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const edge = top.node.edges[top.next++];
    if (edge === undefined) {
      order.push(top.node);
      stack.pop();
    } else if (edge && !seen.has(edge.node)) {
      seen.add(edge.node);
      stack.push({ node: edge.node, next: 0 });
    }
  }
  return order;
};

interface Options {
  /** Record the backward pass itself, and keep the graph. */
  readonly createGraph: boolean;
  /** Keep the saved activations for another pass. */
  readonly retainGraph: boolean;
  /** Where gradients are wanted; null for all leaves. */
  readonly targets: readonly Edge[] | null;
  /** Instead of the ops' own. */
  readonly rules: GradientRules;
}

/** Gradients that have arrived at each node, by output. */
export type Gradients = ReadonlyMap<GradNode, readonly (Tensor | undefined)[]>;

/**
 * Reverse-mode differentiation from `output`, whose gradient is `seed` (same shape). Returns the complete gradient of
 * each target that has one. Only paths that lead to a target are walked. Call it inside a scope: on an error, what was
 * made so far is disposed with it.
 */
export const backpropagate = (
  output: Edge,
  seed: Tensor,
  { createGraph, retainGraph, targets, rules }: Options,
): Gradients => {
  const order = topologicalOrder(output.node);
  const wanted = new Map<GradNode, Set<number>>();
  const want = ({ node, index }: Edge): void => {
    const indices = wanted.get(node);
    if (indices) indices.add(index);
    else wanted.set(node, new Set([index]));
  };
  if (targets) targets.forEach(want);
  else for (const node of order) if (node.leaf) want({ node, index: 0 });

  // Nodes through which gradients must flow on: some input of theirs is, or leads to, a target.
  const leads = new Set<GradNode>();
  const reaches = (edge: Edge | null): boolean => !!edge && (wanted.has(edge.node) || leads.has(edge.node));
  for (const node of order) if (node.edges.some(reaches)) leads.add(node);

  // A gradient that two places may hold (a rule may hand the same tensor to two inputs) is aliased, never shared. Without
  // createGraph it must not carry the history of a saved activation that a rule hands on.
  const handle = (gradient: Tensor): Tensor => (createGraph ? gradient.alias() : gradient.detach());
  const pending = new Map<GradNode, (Tensor | undefined)[]>();
  const add = ({ node, index }: Edge, gradient: Tensor): Tensor => {
    const slots = pending.get(node) ?? [];
    pending.set(node, slots);
    const previous = slots[index];
    const total = previous ? previous.add(gradient) : handle(gradient);
    slots[index] = total;
    if (!createGraph) previous?.dispose();
    return total;
  };

  const complete = new Map<GradNode, (Tensor | undefined)[]>();
  /** Passes on what has arrived at `node`. Returns the handles that later steps and the caller read. */
  const step = (node: GradNode): Tensor[] => {
    const slots = pending.get(node);
    pending.delete(node);
    if (!slots) return [];
    const made: Tensor[] = [];
    const indices = wanted.get(node);
    if (indices) {
      const results = slots.map((gradient, index) => (indices.has(index) ? gradient?.alias() : undefined));
      complete.set(node, results);
      for (const gradient of results) if (gradient) made.push(gradient);
    }
    if (leads.has(node)) {
      const needs = node.edges.map(reaches);
      node.backward(slots, needs, rules).forEach((gradient, i) => {
        if (gradient && needs[i]) made.push(add(node.edges[i] as Edge, gradient));
      });
    }
    if (!createGraph) for (const slot of slots) slot?.dispose();
    if (!createGraph && !retainGraph && leads.has(node)) node.consume();
    return made;
  };

  withContext({ recording: createGraph }, () => {
    // In createGraph mode the new graph's nodes own what they need; handles end with the caller's scope.
    add(output, seed);
    for (const node of order.reverse()) {
      if (createGraph) step(node);
      // Everything else that a rule makes on the way ends here.
      else scope(() => step(node));
    }
  });
  return complete;
};
