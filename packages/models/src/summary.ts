import { noGrad, operandOf, Tensor, zeros } from "@striate/core";
import type { Pair, Shape } from "@striate/core/backend";
import { build, type Forward, type Layer, type Module } from "@striate/nn";
import { shapeBackend } from "./shape-backend.js";
import { createTrace, type Work } from "./trace.js";

/** What one layer does itself; what its sublayers do counts for these. All counts are for one image. */
export interface LayerSummary {
  /** As in the state dict; "" for what the network does outside of its layers. */
  readonly name: string;
  /** What the layer is known by: `conv2d 3x3/2`, `relu`; "" where no op says it. */
  readonly operation: string;
  /** Without the batch axis; null for a layer that only training uses. */
  readonly output: Shape | null;
  /** Trained values. */
  readonly parameters: number;
  /** Values that are saved but not trained: running statistics, fixed codes. */
  readonly buffers: number;
  /**
   * Links into units that sum up or choose, the biases among them, as Y. LeCun et al., 1998, count them. Elementwise
   * functions and norms have none.
   */
  readonly connections: number;
  /** Multiplications of convolutions and matrix products, each with its addition; links that are 0 by a table are left out. */
  readonly multiplyAdds: number;
  /**
   * [height, width] in pixels of what a unit of the output can see; it may reach beyond the image. null for what is no
   * image's, and where windows cannot be followed back.
   */
  readonly receptiveField: Pair | null;
}

export interface Summary {
  /** Without the batch axis. */
  readonly input: Shape;
  /** In the order in which they finish; those that only training uses come last. Layers that do nothing themselves are left out. */
  readonly layers: readonly LayerSummary[];
  readonly parameters: number;
  readonly buffers: number;
  readonly connections: number;
  readonly multiplyAdds: number;
}

const sizes = (tensors: ReadonlyMap<string, Tensor>): number => {
  let sum = 0;
  for (const { size } of tensors.values()) sum += size;
  return sum;
};

/** A layer's row while it is counted. */
interface Row {
  readonly own: {
    readonly parameters: number;
    readonly buffers: number;
    readonly bias: boolean;
    readonly leaf: boolean;
  };
  /** What ran in it: labels of calls with links, and of others. */
  readonly linking: string[];
  readonly elementwise: string[];
  output: Shape | null;
  links: number;
  multiplyAdds: number;
  receptiveField: Pair | null;
}

const operationOf = ({ linking, elementwise }: Row): string =>
  [...linking, ...elementwise].find((label) => label !== "") ?? "";

/** Every module of the network by its path, the root first. */
const rowsOf = (net: Module<Forward>, path = "", rows = new Map<string, Row>()): Map<string, Row> => {
  const children = [...net.children.values()];
  const parameters = net.namedParameters();
  const below = (of: (module: Module<Forward>) => ReadonlyMap<string, Tensor>): number =>
    children.reduce((sum, child) => sum + sizes(of(child)), 0);
  const own = {
    parameters: sizes(parameters) - below((child) => child.namedParameters()),
    buffers: sizes(net.namedBuffers()) - below((child) => child.namedBuffers()),
    bias: parameters.has("bias"),
    leaf: children.length === 0,
  };
  const nothing = { output: null, links: 0, multiplyAdds: 0, receptiveField: null };
  rows.set(path, { own, linking: [], elementwise: [], ...nothing });
  for (const [name, child] of net.children) rowsOf(child, path === "" ? name : `${path}.${name}`, rows);
  return rows;
};

const tensorIn = (output: unknown): Tensor | undefined => {
  if (output instanceof Tensor) return output;
  return typeof output === "object" && output !== null
    ? Object.values(output).find((value) => value instanceof Tensor)
    : undefined;
};

/**
 * What each layer of a network makes of one input in evaluation mode, and what it costs. Nothing is computed: shapes
 * alone are followed, on a backend that has nothing else.
 *
 * @param model a layer, or a module, whose parameters are not looked at
 * @param input its shape without the batch axis: [channels, height, width]
 * @throws ShapeError, naming the layer, if the network does not take such an input.
 */
export const summary = (
  model: Layer<(x: Tensor) => unknown> | Module<(x: Tensor) => unknown>,
  input: Shape,
): Summary => {
  const layer = typeof model === "function" ? model : model.layer;
  const trace = createTrace();
  const running: Row[] = [];
  const count = ({ label, links, multiplyAdds }: Work): void => {
    const row = running.at(-1);
    if (!row) return;
    (links > 0 ? row.linking : row.elementwise).push(label);
    row.links += links;
    row.multiplyAdds += multiplyAdds;
  };
  const backend = shapeBackend((call) => count(trace.call(call)));
  const net = build(layer, { backend, seed: 0, initialise: false }).eval();
  const rows = rowsOf(net as unknown as Module<Forward>);
  const finished = new Set<string>();
  net.observe(
    (name, result) => {
      const row = running.pop() as Row;
      finished.add(name);
      const output = tensorIn(result);
      if (!output) return;
      row.output = output.shape.slice(1);
      row.receptiveField = trace.receptiveField(operandOf(output));
      if (row.links > 0 && row.own.bias) row.links += output.size;
    },
    (name) => {
      running.push(rows.get(name) as Row);
    },
  );
  const x = zeros([1, ...input], { backend });
  trace.image(operandOf(x));
  noGrad(() => net.forward(x) as never);
  const order = [...finished, ...[...rows.keys()].filter((name) => !finished.has(name))];
  const layers = order.flatMap((name): LayerSummary[] => {
    const row = rows.get(name) as Row;
    const { own, linking, elementwise, output, multiplyAdds, receptiveField } = row;
    const { parameters, buffers } = own;
    if (!own.leaf && parameters + buffers + linking.length + elementwise.length === 0) return [];
    const counts = { parameters, buffers, connections: row.links, multiplyAdds };
    return [{ name, operation: operationOf(row), output, ...counts, receptiveField }];
  });
  net.dispose();
  x.dispose();
  const total = (of: "parameters" | "buffers" | "connections" | "multiplyAdds"): number =>
    layers.reduce((sum, row) => sum + row[of], 0);
  return {
    input,
    layers,
    parameters: total("parameters"),
    buffers: total("buffers"),
    connections: total("connections"),
    multiplyAdds: total("multiplyAdds"),
  };
};

const grouped = (n: number): string => n.toLocaleString("en-US");

/** A table for the terminal: a line a layer, and one of the totals. */
export const formatSummary = ({ layers, input, ...totals }: Summary): string => {
  const counts = (row: Pick<LayerSummary, "parameters" | "connections" | "multiplyAdds">): string[] =>
    [row.parameters, row.connections, row.multiplyAdds].map((n) => (n === 0 ? "" : grouped(n)));
  const lines = [
    ["layer", "operation", "output", "parameters", "connections", "multiply-adds", "sees"],
    ["(input)", "", input.join("x"), "", "", "", ""],
    ...layers.map((row) => [
      row.name === "" ? "(network)" : row.name,
      row.operation,
      row.output?.join("x") ?? "in training",
      ...counts(row),
      row.receptiveField?.map((n) => Math.round(n * 100) / 100).join("x") ?? "",
    ]),
    ["total", "", "", ...counts(totals), ""],
  ];
  const widths = (lines[0] as string[]).map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? "").length)),
  );
  // Names to the left, counts to the right.
  const cell = (text: string, column: number): string =>
    column < 3 ? text.padEnd(widths[column] as number) : text.padStart(widths[column] as number);
  return lines.map((line) => line.map(cell).join("  ").trimEnd()).join("\n");
};
