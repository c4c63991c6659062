/** Counts seconds, on top of those given, while it runs. */
export const stopwatch = (seconds: number): { readonly seconds: number; run(): void; rest(): void } => {
  let counted = seconds;
  let since: number | undefined;
  const passed = (): number => (since === undefined ? 0 : (performance.now() - since) / 1000);
  return {
    get seconds() {
      return counted + passed();
    },
    run: () => {
      since ??= performance.now();
    },
    rest: () => {
      counted += passed();
      since = undefined;
    },
  };
};
