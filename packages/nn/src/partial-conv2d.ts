import { ArgumentError, type Conv2dOptions as Conv2dOpOptions } from "@striate/core";
import type { Initialiser } from "./init.js";
import type { Layer } from "./module.js";
import { type AffineOptions, expectSizes, initsOf, type Pair, pairOf } from "./options.js";

export interface PartialConv2dOptions extends Omit<Conv2dOpOptions, "bias" | "groups">, AffineOptions {}

const expectConnections = (inChannels: number, connections: readonly (readonly number[])[]): void => {
  if (connections.length === 0) throw new ArgumentError("partialConv2d: the connection table is empty");
  connections.forEach((inputs, out) => {
    const bad = inputs.find((i) => !Number.isInteger(i) || i < 0 || i >= inChannels);
    if (bad !== undefined)
      throw new ArgumentError(`partialConv2d: map ${out} is fed by ${bad}, expected maps 0 to ${inChannels - 1}`);
    if (inputs.length === 0 || new Set(inputs).size !== inputs.length)
      throw new ArgumentError(
        `partialConv2d: map ${out} is fed by [${inputs.join(", ")}], expected each map once, and one at least`,
      );
  });
};

/**
 * A convolution whose output map o sees only the input maps connections[o], as C3 of LeNet-5 (Y. LeCun et al., 1998,
 * table I): [N, inChannels, H, W] -> [N, connections.length, oh, ow]. Parameters: weight [links, kh, kw] in the order
 * of the table, so that there are no dead ones; bias [connections.length]. Each map has fans of its own.
 */
export const partialConv2d = (
  inChannels: number,
  connections: readonly (readonly number[])[],
  kernel: Pair,
  options: PartialConv2dOptions = {},
): Layer => {
  const { bias: withBias = true, weightInit: _w, biasInit: _b, ...geometry } = options;
  expectSizes("partialConv2d", { inChannels, kernel });
  expectConnections(inChannels, connections);
  const { weightInit, biasInit } = initsOf(options);
  const outputs = connections.length;
  const [kh, kw] = pairOf(kernel);
  const field = kh * kw;
  const links = connections.flatMap((inputs, out) => inputs.map((i) => out * inChannels + i));

  /** Fill the values of each output map by that map's own fans; `count` says how many a map has. */
  const byMap =
    (init: Initialiser, count: (inputs: readonly number[]) => number): Initialiser =>
    ({ values, random }) => {
      let at = 0;
      for (const inputs of connections) {
        const own = values.subarray(at, at + count(inputs));
        at += own.length;
        init({ values: own, shape: [own.length], fanIn: inputs.length * field, fanOut: outputs * field, random });
      }
    };

  return (m) => {
    const weight = m.parameter(
      "weight",
      [links.length, kh, kw],
      byMap(weightInit, (inputs) => inputs.length * field),
    );
    const bias = withBias
      ? m.parameter(
          "bias",
          [outputs],
          byMap(biasInit, () => 1),
        )
      : undefined;
    const size = outputs * inChannels * field;
    const zeros = m.constant(
      m.dtype === "float64" ? new Float64Array(size) : new Float32Array(size),
      [outputs * inChannels, field],
      m.dtype,
    );
    const rows = Int32Array.from({ length: links.length * field }, (_, i) => links[Math.floor(i / field)] as number);
    const index = m.constant(rows, [links.length, field], "int32");
    return (x) => {
      const dense = zeros.scatterAdd(0, index, weight.reshape([links.length, field]));
      return x.conv2d(dense.reshape([outputs, inChannels, kh, kw]), { ...geometry, bias });
    };
  };
};
