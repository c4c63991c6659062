/** What to do about losses and gradients that are NaN or infinite. */
import { keep, noGrad, scope, stack, Tensor } from "@striate/core";
import type { Batch } from "@striate/data";
import { forEachPart, forward, type Gradient, type GradientOptions, type Trainee } from "./gradient.js";

/** The largest absolute value: NaN or infinite as soon as one element is. */
const extremeOf = (tensor: Tensor): Tensor => tensor.abs().max();

const isInexact = (tensor: Tensor): boolean => tensor.dtype.startsWith("float") && tensor.size > 0;

/** Position of the first tensor with an element that is not finite, or -1. One read. */
const firstNonFinite = async (tensors: readonly Tensor[]): Promise<number> => {
  if (tensors.length === 0) return -1;
  const extremes = noGrad(() =>
    scope(() =>
      keep(
        stack(
          tensors.map((t) => extremeOf(t).cast("float32")),
          0,
        ),
      ),
    ),
  );
  try {
    return (await extremes.data()).findIndex((value) => !Number.isFinite(value));
  } finally {
    extremes.dispose();
  }
};

/** Whether loss or gradient is NaN or infinite anywhere. */
export const isNonFinite = async ({ value, grads }: Gradient): Promise<boolean> =>
  (await firstNonFinite([value, ...grads.filter(isInexact)])) >= 0;

/** A net's values at one moment, so that a forward pass can be repeated. */
export interface Values {
  restore(): void;
  release(): void;
}

/** Takes the values of a net at the moment of a call: handles, not copies. `tensors` are the net's own. */
export const holdValues = (net: Trainee, tensors: readonly Tensor[]): Values => {
  const values = tensors.map((tensor) => keep(tensor.detach()));
  const counters = net.counters();
  return {
    restore: () => {
      // Lets layers write what they have counted on the host, which would come on top later.
      net.namedBuffers();
      tensors.forEach((tensor, i) => {
        tensor.assign(values[i] as Tensor);
      });
      if (counters.size > 0) net.loadCounters(counters);
    },
    release: () => {
      for (const value of values) value.dispose();
    },
  };
};

const tensorsIn = (output: unknown): Tensor[] => {
  if (output instanceof Tensor) return [output];
  if (typeof output !== "object" || output === null) return [];
  return Object.values(output).flatMap(tensorsIn);
};

/** The first layer of the forward pass on `batch` whose output is not finite, and the first such parameter. */
export const locate = async (
  options: GradientOptions,
  batch: Batch,
): Promise<{ readonly layer: string | undefined; readonly parameter: string | undefined }> => {
  const { net, accumulate = 1 } = options;
  const parameters = [...net.namedParameters()].filter(([, parameter]) => isInexact(parameter));
  const parameter = parameters[await firstNonFinite(parameters.map(([, value]) => value))]?.[0];
  const layers: string[] = [];
  const extremes: Tensor[] = [];
  const stop = net.observe((name, output) => {
    for (const tensor of tensorsIn(output).filter(isInexact)) {
      layers.push(name);
      extremes.push(keep(scope(() => extremeOf(tensor).cast("float32"))));
    }
  });
  try {
    noGrad(() => forEachPart(batch, accumulate, (part) => void scope(() => void forward(options, part))));
    const values = await Promise.all(extremes.map((extreme) => extreme.item()));
    return { layer: layers[values.findIndex((value) => !Number.isFinite(value))], parameter };
  } finally {
    stop();
    for (const extreme of extremes) extreme.dispose();
  }
};
