/** A turn of the event loop. A message, because timers are held back to one a second in a tab that is not looked at. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    // Node has the property, but its types do not.
    Object.assign(port2, {
      onmessage: () => {
        port1.close();
        resolve();
      },
    });
    port1.postMessage(null);
  });

/**
 * Lets timers, signals and the page have their turn, at most once in `interval` milliseconds: on a synchronous backend
 * a training loop would otherwise never leave the microtask queue, and Ctrl-C would go unheard.
 */
export const breather = (interval = 20): (() => Promise<void>) => {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < interval) return;
    await turn();
    last = performance.now();
  };
};
