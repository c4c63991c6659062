import { fillNormal, fillUniform } from "@striate/core";
import { build, type Definition, type Fans, type Forward, type Initialiser, init, type Layer } from "@striate/nn";
import { shapeBackend } from "../index.js";

const fansOf = ([units = 1, inputs = 1, ...window]: readonly number[]): Fans => {
  const field = window.reduce((a, b) => a * b, 1);
  return { fanIn: inputs * field, fanOut: units * field };
};

/** The first values that each parameter of a network begins with, drawn without drawing the rest: 4096 at most. */
export const initialValues = (layer: Layer<Forward>): ReadonlyMap<string, Float32Array> => {
  const drawn = new Map<string, Float32Array>();
  let stream = 0;
  const listening =
    <F extends Forward>(inner: Layer<F>, path: string): Layer<F> =>
    (m) => {
      const parameter: Definition["parameter"] = (name, shape, initialiser: Initialiser, fans = fansOf(shape)) => {
        const values = new Float32Array(
          Math.min(
            4096,
            shape.reduce((a, b) => a * b, 1),
          ),
        );
        const address = { seed: 1, stream: stream++, offset: 0 };
        const random = {
          uniform: (into: Float32Array | Float64Array, low: number, high: number) =>
            fillUniform(into, address, low, high),
          normal: (into: Float32Array | Float64Array, mean: number, std: number) =>
            fillNormal(into, address, mean, std),
        };
        initialiser({ values, shape, ...fans, random });
        drawn.set(path + name, values);
        return m.parameter(name, shape, init.constant(0), fans);
      };
      const child: Definition["child"] = (name, sublayer) => m.child(name, listening(sublayer, `${path}${name}.`));
      return inner(Object.create(m, { parameter: { value: parameter }, child: { value: child } }));
    };
  build(listening(layer, ""), { backend: shapeBackend(), seed: 0, initialise: false });
  return drawn;
};
