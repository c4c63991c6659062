/**
 * tfjs as far as callers hand it over. Not its own declarations: those do not pass a strict type check (they clash with
 * TypeScript's for WebGPU), which would then be the business of everyone who imports this package.
 */

/** The module `@tensorflow/tfjs-core`. */
export interface TfjsCore {
  engine(): object;
  getKernel(kernelName: string, backendName: string): object;
}

/** A `Tensor` of tfjs. */
export interface TfjsTensor {
  readonly dataId: object;
  readonly shape: number[];
  readonly dtype: string;
  readonly size: number;
  readonly rank: number;
  readonly isDisposed: boolean;
  dispose(): void;
}
