import type { CpuKernels } from "../storage.js";

export const fillKernels: Pick<CpuKernels, "fill" | "cast"> = {
  fill: ({ outputs: [y], attrs }) => {
    y.storage.elements.fill(attrs.value);
  },

  // Typed arrays convert as the contract asks: floats round, integers truncate. Out of an integer's range, and for NaN,
  // the result is ECMAScript's: modulo 2^bits, and 0.
  cast: ({ inputs: [x], outputs: [y] }) => {
    const from = x.storage.elements;
    const to = y.storage.elements;
    if (y.dtype === "bool") for (let i = 0; i < to.length; i++) to[i] = from[i] !== 0 ? 1 : 0;
    else to.set(from);
  },
};
