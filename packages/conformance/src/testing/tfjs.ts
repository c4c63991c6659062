import { enableProdMode, engine, type KernelBackend } from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, expect } from "vitest";

// Without it tfjs advertises its other packages.
enableProdMode();

/** What tfjs itself counts: on its instance of the backend, and in its engine. */
const counts = (name: string): object => {
  const { registry, state } = engine();
  const { numTensors, numDataBuffers } = state;
  return { data: (registry[name] as KernelBackend | undefined)?.numDataIds() ?? 0, numTensors, numDataBuffers };
};

/** In a Vitest file: every case leaves as much in tfjs as there was before it. */
export const expectNoTensorsLeft = (name: string): void => {
  let before: object;
  beforeEach(() => {
    before = counts(name);
  });
  afterEach(() => {
    expect(counts(name)).toEqual(before);
  });
};
