import { ArgumentError } from "@striate/core";
import type { Layer } from "./module.js";

/**
 * In training, each element is 0 with probability p, else x / (1 - p); in evaluation x itself.
 *
 * The mask is a function of (the module's seed, this layer's stream, how often the layer ran in training). The last
 * is the counter `calls`, which a checkpoint has to hold: `Module.counters`.
 *
 * @throws ArgumentError for p outside [0, 1].
 */
export const dropout = (p = 0.5): Layer => {
  if (!(p >= 0 && p <= 1)) throw new ArgumentError(`dropout: p is ${p}, expected a probability in [0, 1]`);
  return (m) => {
    const stream = m.stream("mask");
    const calls = m.counter("calls");
    return (x) => (m.training && p > 0 ? x.dropout({ p, seed: m.seed, stream, offset: calls.value++ }) : x);
  };
};
