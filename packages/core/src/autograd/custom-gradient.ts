import { isRecording, withContext } from "../context.js";
import { expectOperands, recordCustom } from "../dispatch.js";
import { isFloat } from "../dtype.js";
import { GradientError } from "../errors.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";

export interface CustomGradient {
  /** The function itself. What the gradient needs besides inputs and output is passed on as `residuals`. */
  forward(...inputs: Tensor[]): { readonly value: Tensor; readonly residuals?: readonly Tensor[] };
  /** The gradient of each input (null for none), given the one that arrives at the value. */
  backward(context: {
    readonly grad: Tensor;
    readonly inputs: readonly Tensor[];
    readonly value: Tensor;
    readonly residuals: readonly Tensor[];
  }): readonly (Tensor | null)[];
}

/**
 * A function with a gradient of its own, for when the recorded one is slow, unstable or not what is wanted (straight-through
 * estimators, clipped gradients). A second derivative runs through the ops of `backward`. Errors are named `name`.
 */
export const customGradient =
  (name: string, { forward, backward }: CustomGradient): ((...inputs: Tensor[]) => Tensor) =>
  (...inputs) => {
    if (inputs.length > 0) expectOperands(name, inputs);
    return scope(() => {
      const { value: computed, residuals = [] } = withContext({ recording: false }, () => forward(...inputs));
      // A handle of its own, for `forward` may return one of its inputs.
      const value = computed.detach();
      if (isRecording() && isFloat(value.dtype) && inputs.some((t) => t.requiresGrad)) {
        const count = inputs.length;
        recordCustom(name, [...inputs, ...residuals.map((t) => t.detach())], value, (c) => {
          const gradients = backward({
            grad: c.grad(),
            inputs: inputs.map((_, i) => c.input(i)),
            value: c.output(0),
            residuals: residuals.map((_, i) => c.input(count + i)),
          });
          if (gradients.length !== count)
            throw new GradientError(`${name}: backward gave ${gradients.length} gradients for ${count} inputs`);
          return gradients;
        });
      }
      return value;
    });
  };
