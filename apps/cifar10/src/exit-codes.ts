/** What the program ends with; `--help` lists them. */
export const exitCodes = {
  ok: { code: 0, meaning: "done: for train, trained, saved and tested, now or before" },
  internal: { code: 1, meaning: "an error that should not happen; please report it" },
  usage: { code: 2, meaning: "a wrong option, value or config" },
  data: { code: 3, meaning: "CIFAR-10, or an image, is missing, damaged, or cannot be fetched" },
  backend: { code: 4, meaning: "the backend is not there, ran out of memory, or was lost" },
  output: { code: 5, meaning: "the run, or standard output, cannot be written" },
  training: { code: 6, meaning: "training failed: the loss is not finite" },
  check: { code: 7, meaning: "a check failed: gradcheck, --overfit-batches, or doctor" },
  run: { code: 8, meaning: "the run is not there, is in use, or has nothing in it that can be read" },
  interrupted: { code: 130, meaning: "stopped by Ctrl-C; what was trained until then is saved" },
  closed: { code: 141, meaning: "as 130: whoever read standard output has closed it" },
  terminated: { code: 143, meaning: "as 130: stopped by SIGTERM" },
} as const;

/** An entry of `exitCodes`. */
export type Exit = keyof typeof exitCodes;
