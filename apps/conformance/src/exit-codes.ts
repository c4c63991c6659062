/** What the program ends with; `--help` lists them. */
export const exitCodes = {
  ok: { code: 0, meaning: "every case passed, or was skipped for a reason that the report gives" },
  failed: { code: 1, meaning: "at least one case failed" },
  usage: { code: 2, meaning: "a wrong option or value, or a filter that matches no case" },
  input: { code: 3, meaning: "vectors, images or known failures are missing or damaged" },
  backend: { code: 4, meaning: "the backend is not there or cannot be started" },
  output: { code: 5, meaning: "a report cannot be written" },
  browser: { code: 6, meaning: "no Chromium is there, it cannot be started, or it ended during the run" },
  internal: { code: 70, meaning: "an error that should not happen; please report it" },
  interrupted: { code: 130, meaning: "stopped by Ctrl-C (143: by SIGTERM)" },
} as const;
