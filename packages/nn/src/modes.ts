import type { Forward, Module } from "./module.js";

/** Puts the mode of every layer back when it is called: some may have been in evaluation mode before the others were. */
export const rememberModes = (net: Module<Forward>): (() => void) => {
  const { training } = net;
  const children = [...net.children.values()].map(rememberModes);
  return () => {
    net.train(training);
    for (const restore of children) restore();
  };
};

/** What `body` returns with the network in evaluation mode; afterwards every layer has the mode it had. */
export const evaluating = <T>(net: Module<Forward>, body: () => T): T => {
  const restore = rememberModes(net);
  net.eval();
  try {
    return body();
  } finally {
    restore();
  }
};
