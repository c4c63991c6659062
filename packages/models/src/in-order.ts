import type { Tensor } from "@striate/core";
import type { Definition, Layer, UnaryForward } from "@striate/nn";

/** By name. */
export type Layers = Readonly<Record<string, Layer>>;

/** Declares `layers` on `m` and runs them one after another: `sequential` with names of one's own, and no level more. */
export const inOrder = (m: Definition, layers: Layers): UnaryForward => {
  const forwards = Object.entries(layers).map(([name, layer]) => m.child(name, layer));
  return (x) => {
    let y: Tensor = x;
    for (const forward of forwards) {
      const next = forward(y);
      // As in `sequential`: in evaluation a deep network would hold all activations.
      if (y !== x && y !== next) y.dispose();
      y = next;
    }
    return y;
  };
};
