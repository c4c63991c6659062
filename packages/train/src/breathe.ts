/**
 * Lets timers, signals and the page have their turn, at most once in `interval` milliseconds: on a synchronous backend
 * a training loop would otherwise never leave the microtask queue, and Ctrl-C would go unheard.
 */
export const breather = (interval = 20): (() => Promise<void>) => {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < interval) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    last = performance.now();
  };
};
