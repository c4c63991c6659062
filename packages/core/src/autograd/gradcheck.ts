import type { HostArray } from "../backend.js";
import { expectDType, hostArray } from "../dtype.js";
import { GradientError } from "../errors.js";
import { randomWords } from "../random/philox.js";
import { scoped } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { noGrad, valueAndGrad } from "./value-and-grad.js";

export interface GradcheckOptions {
  /** Half the distance of the two points of the central difference. Default 1e-6. */
  readonly eps?: number | undefined;
  /** Absolute tolerance. Default 1e-5. */
  readonly atol?: number | undefined;
  /** Tolerance relative to the numeric gradient. Default 1e-3. */
  readonly rtol?: number | undefined;
  /** Check at most this many elements of each input, spread evenly. Default all. */
  readonly maxElements?: number | undefined;
}

/** Where the two gradients are farthest apart, measured by what is allowed. */
export interface GradcheckReport {
  /** Elements compared. */
  readonly checked: number;
  /** Largest |analytic - numeric| / (atol + rtol·|numeric|); at most 1. */
  readonly worst: number;
}

/**
 * Compare the gradient of `fn` with central finite differences at float64 `inputs`. A result with more than one element
 * is projected on fixed random weights first. `fn` must be deterministic and smooth near the inputs.
 *
 * @throws GradientError naming the input, the element and both values if they disagree; DTypeError unless all is float64.
 */
export const gradcheck = async (
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): Promise<GradcheckReport> => {
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3, maxElements = Number.POSITIVE_INFINITY } = options;
  inputs.forEach((t, i) => {
    expectDType("gradcheck", `input ${i}`, t.dtype, ["float64"]);
  });
  const project = scoped((...tensors: Tensor[]): Tensor => {
    const y = fn(...tensors);
    expectDType("gradcheck", "the result", y.dtype, ["float64"]);
    const weights = Float64Array.from(randomWords(0, 0, 0, y.size), (word) => 0.5 + word / 2 ** 32);
    return y.mul(y.runtime.fromHost("gradcheck", { shape: y.shape, dtype: "float64" }, weights)).sum();
  });
  const { value, grads } = valueAndGrad(() => project(...inputs), inputs);
  const gradients: HostArray[] = [];
  try {
    for (const grad of grads) gradients.push(await grad.data());
  } finally {
    for (const t of [value, ...grads]) t.dispose();
  }
  let checked = 0;
  let worst = 0;
  for (const [i, input] of inputs.entries()) {
    const analytic = gradients[i] as HostArray;
    const data = await input.data();
    const stride = Math.max(1, Math.ceil(input.size / maxElements));
    for (let k = 0; k < input.size; k += stride) {
      const at = async (offset: number): Promise<number> => {
        const moved = hostArray("float64", input.size);
        moved.set(data);
        moved[k] = (data[k] as number) + offset;
        const probe = input.runtime.fromHost("gradcheck", { shape: input.shape, dtype: "float64" }, moved);
        try {
          const y = noGrad(() => project(...inputs.map((t, j) => (j === i ? probe : t))));
          return await y.item().finally(() => y.dispose());
        } finally {
          probe.dispose();
        }
      };
      const numeric = ((await at(eps)) - (await at(-eps))) / (2 * eps);
      const error = Math.abs((analytic[k] as number) - numeric) / (atol + rtol * Math.abs(numeric));
      // Negated so that NaN fails.
      if (!(error <= 1))
        throw new GradientError(
          `gradcheck: the gradient of element ${k} of input ${i} is ${analytic[k]}, finite differences give ${numeric}`,
        );
      worst = Math.max(worst, error);
      checked++;
    }
  }
  return { checked, worst };
};
