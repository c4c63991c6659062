import type { Backend } from "@striate/core";

/** A backend as the user named it, and why it was taken. */
export interface ChosenBackend {
  readonly backend: Backend;
  /** For people; empty unless the name was `auto`. */
  readonly reason: string;
}

export interface Candidate {
  readonly name: string;
  create(): Promise<Backend>;
}

/** No such backend, or none that runs here. */
export class BackendChoiceError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BackendChoiceError";
  }
}

/** @throws BackendChoiceError with what `create` threw as its cause. */
export const startBackend = async ({ name, create }: Candidate): Promise<Backend> => {
  try {
    return await create();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new BackendChoiceError(`backend ${name} cannot be started: ${message}`, { cause });
  }
};

/** The first that starts. @throws BackendChoiceError with the word of each where none does. */
export const startFirst = async (candidates: readonly Candidate[]): Promise<ChosenBackend> => {
  const passedOver: string[] = [];
  for (const candidate of candidates) {
    try {
      const backend = await startBackend(candidate);
      const chosen = `${candidate.name} is the fastest backend that is there`;
      return { backend, reason: [chosen, ...passedOver].join("; ") };
    } catch (error) {
      passedOver.push((error as Error).message);
    }
  }
  throw new BackendChoiceError(passedOver.join("; "));
};
