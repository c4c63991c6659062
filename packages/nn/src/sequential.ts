import type { Tensor } from "@striate/core";
import { build, type Context, type Definition, type Layer, type Module, type UnaryForward } from "./module.js";

/** Layers by name, in the order in which they run. */
export type Layers = Readonly<Record<string, Layer>>;

/** Declares `layers` on `m` and runs them one after another: `sequential` with names of one's own, and no level more. */
export const inOrder = (m: Definition, layers: Layers | readonly Layer[]): UnaryForward => {
  const forwards = Object.entries(layers).map(([name, layer]) => m.child(name, layer));
  /** What runs where nobody watches: a layer and a ReLU behind it are one. */
  const fused = forwards.flatMap((forward, i): UnaryForward[] => {
    if (forward.isRelu && forwards[i - 1]?.withRelu) return [];
    return [(forwards[i + 1]?.isRelu && forward.withRelu) || forward];
  });
  return (x) => {
    let y: Tensor = x;
    for (const forward of m.watched ? forwards : fused) {
      const next = forward(y);
      // What autograd needs it holds itself; without this, a deep net in evaluation would hold all activations.
      if (y !== x && y !== next) y.dispose();
      y = next;
    }
    return y;
  };
};

export interface Sequential {
  /** A layer that runs `layers` one after another; their names are 0, 1, 2 … */
  (layers: readonly Layer[]): Layer;
  /** The same, built. */
  (layers: readonly Layer[], context: Context): Module;
}

const chain =
  (layers: readonly Layer[]): Layer =>
  (m) =>
    inOrder(m, layers);

export const sequential = ((layers: readonly Layer[], context?: Context) =>
  context ? build(chain(layers), context) : chain(layers)) as Sequential;

export const identity = (): Layer => () => (x) => x;

/** All axes from `startAxis` on become one. Default 1: a vector an image. */
export const flatten =
  (startAxis = 1): Layer =>
  () =>
  (x) =>
    x.flatten(startAxis);
