/** What the program ends with; `--help` lists them. */
export const exitCodes = {
  ok: { code: 0, meaning: "trained and tested" },
  internal: { code: 1, meaning: "an error that should not happen; please report it" },
  usage: { code: 2, meaning: "a wrong option or value" },
  data: { code: 3, meaning: "MNIST is missing, damaged, or cannot be fetched" },
  output: { code: 5, meaning: "the weights cannot be written" },
  training: { code: 6, meaning: "training failed: the loss is not finite" },
  interrupted: { code: 130, meaning: "stopped by Ctrl-C" },
  terminated: { code: 143, meaning: "stopped by SIGTERM" },
} as const;

/** An entry of `exitCodes`. */
export type Exit = keyof typeof exitCodes;
