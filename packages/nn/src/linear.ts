import { fansOf } from "./init.js";
import type { Layer } from "./module.js";
import { type AffineOptions, expectSizes, initsOf } from "./options.js";

/** [..., inFeatures] -> [..., outFeatures]. Parameters: weight [outFeatures, inFeatures], bias [outFeatures]. */
export const linear = (inFeatures: number, outFeatures: number, options: AffineOptions = {}): Layer => {
  expectSizes("linear", { inFeatures, outFeatures });
  const { weightInit, biasInit } = initsOf(options);
  return (m) => {
    const weight = m.parameter("weight", [outFeatures, inFeatures], weightInit);
    const bias =
      options.bias === false ? undefined : m.parameter("bias", [outFeatures], biasInit, fansOf(weight.shape));
    return (x) => x.linear(weight, bias);
  };
};
