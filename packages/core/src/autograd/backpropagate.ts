import { withContext } from "../context.js";
import type { Edge } from "../runtime.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import type { GradNode } from "./node.js";

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
}

/** The complete gradient of one target. */
export interface Delivered {
  readonly target: Edge;
  readonly gradient: Tensor;
}

/**
 * Reverse-mode differentiation from `output`, whose gradient is `seed` (same shape). Returns the gradient of each
 * target that has one. Only paths that lead to a target are walked. Call it inside a scope: on an error, what was
 * made so far is disposed with it.
 */
export const backpropagate = (
  output: Edge,
  seed: Tensor,
  { createGraph, retainGraph, targets }: Options,
): Delivered[] => {
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

  // A gradient that two places may hold (a rule may hand the same tensor to two inputs) is aliased, never shared.
  const gradients = new Map<GradNode, (Tensor | null)[]>();
  const add = ({ node, index }: Edge, gradient: Tensor): void => {
    const slots = gradients.get(node) ?? [];
    gradients.set(node, slots);
    const previous = slots[index];
    slots[index] = previous ? previous.add(gradient) : gradient.alias();
    if (!createGraph) previous?.dispose();
  };

  const delivered: Delivered[] = [];
  const step = (node: GradNode): void => {
    const slots = gradients.get(node);
    gradients.delete(node);
    if (!slots) return;
    for (const index of wanted.get(node) ?? []) {
      const gradient = slots[index];
      if (gradient) delivered.push({ target: { node, index }, gradient: gradient.alias() });
    }
    if (leads.has(node)) {
      const { edges } = node;
      const needs = edges.map(reaches);
      const results = node.backward(slots, needs);
      results.forEach((gradient, i) => {
        if (gradient && needs[i]) add(edges[i] as Edge, gradient);
      });
    }
    if (!createGraph) for (const slot of slots) slot?.dispose();
    if (!createGraph && !retainGraph && leads.has(node)) node.consume();
  };

  withContext({ recording: createGraph }, () => {
    // In createGraph mode the new graph's nodes own what they need; handles end with the caller's scope.
    add(output, seed);
    for (const node of order.reverse()) {
      if (createGraph) step(node);
      else {
        // Everything a rule makes on the way ends here; what flows on was aliased into `gradients` by `add`.
        scope(() => {
          step(node);
          return [[...gradients.values()], delivered];
        });
      }
    }
  });
  return delivered;
};
