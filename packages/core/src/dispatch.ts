/** The one way from a tensor op to a backend's kernel. */
import { type GradientRule, GradNode, type Saves } from "./autograd/node.js";
import {
  type Attrs,
  type Backend,
  type Call,
  type CallSpec,
  isFloat,
  type Operand,
  type OpName,
  type Shape,
  type TensorSpec,
} from "./backend.js";
import { isRecording, withContext } from "./context.js";
import { encode } from "./dtype.js";
import { ArgumentError, ShapeError, UnsupportedError } from "./errors.js";
import { expectAlive, type Runtime, type StorageRef } from "./runtime.js";
import { scope } from "./scope.js";
import { formatShape, sizeOf } from "./shape.js";
import type { Tensor } from "./tensor.js";

/** What core knows of an op besides its shape rule, which is the public function that dispatches it. */
export interface OpRule<K extends OpName> {
  readonly name: K;
  /** What users call it, where that is not `name`; for messages. */
  readonly label?: string;
  /** What users call the inputs; for messages. */
  readonly inputs?: readonly string[];
  /** What the outputs hold when an input has no elements but they do: 0 for sums. Without it such a call is refused. */
  readonly empty?: number | ((attrs: Attrs<K>) => number);
  /** The inputs and outputs that `gradient` reads. */
  readonly saves?: Saves;
  /** Without it, the op is differentiated through its decomposition, or not at all. */
  readonly gradient?: GradientRule<Attrs<K>>;
  /** The op in terms of others; every optional op has it. */
  decompose?(inputs: readonly Tensor[], attrs: Attrs<K>, outputs: readonly TensorSpec[]): readonly Tensor[];
}

/** Types a rule. */
export const defineOp = <K extends OpName>(rule: OpRule<K>): OpRule<K> => rule;

/** Shapes as the kernel wants to see them, where they differ from the tensors' (same sizes). */
interface KernelShapes {
  readonly inputs?: readonly Shape[];
  readonly outputs?: readonly Shape[];
}

const specOf = (tensor: Tensor): TensorSpec => ({ shape: tensor.shape, dtype: tensor.dtype });

const withShape = (spec: TensorSpec, shape: Shape | undefined): TensorSpec =>
  shape ? { shape, dtype: spec.dtype } : spec;

/** Any entry of the kernel table; the types that tie an op to its kernel are lost when the op is a variable. */
type AnyKernel =
  | ((call: unknown) => void)
  | { supports?(call: CallSpec<OpName>): boolean; run(call: unknown): void }
  | undefined;

/** The native kernel that will run this call, or null if core decomposes it. */
const nativeKernel = (backend: Backend, call: CallSpec<OpName>): ((call: unknown) => void) | null => {
  const kernel = backend.kernels[call.op] as AnyKernel;
  if (!kernel) return null;
  if (typeof kernel === "function") return kernel;
  if (kernel.supports && !kernel.supports(call)) return null;
  return (c) => kernel.run(c);
};

const execute = <K extends OpName>(
  runtime: Runtime,
  rule: OpRule<K>,
  inputs: readonly Tensor[],
  attrs: Attrs<K>,
  outputs: readonly TensorSpec[],
  shapes: KernelShapes,
): readonly Tensor[] => {
  const { backend } = runtime;
  const outputViews = outputs.map((spec, i) => withShape(spec, shapes.outputs?.[i]));
  const empty = inputs.some((t) => t.size === 0) || outputs.every((spec) => sizeOf(spec.shape) === 0);
  if (!empty) {
    const inputViews = inputs.map((t, i) => withShape(specOf(t), shapes.inputs?.[i]));
    const spec = { op: rule.name, inputs: inputViews, outputs: outputViews, attrs };
    const run = nativeKernel(backend, spec as unknown as CallSpec<OpName>);
    if (!run) {
      if (!rule.decompose)
        throw new UnsupportedError(rule.name, backend.name, "it has no such kernel and core no decomposition");
      const decompose = rule.decompose.bind(rule);
      return scope(() => withContext({ recording: false }, () => decompose(inputs, attrs, outputs)));
    }
    const operands = inputViews.map((view, i) => operand(view, (inputs[i] as Tensor).ref));
    const refs = runtime.produce(rule.name, attrs, outputs, (storages) => {
      const results = outputViews.map((view, i) => operand(view, storages[i] as StorageRef));
      run({ op: rule.name, inputs: operands, outputs: results, attrs } as unknown as Call<K>);
    });
    return runtime.tensors(refs, outputs);
  }
  const value = typeof rule.empty === "function" ? rule.empty(attrs) : rule.empty;
  if (value === undefined && outputs.some((spec) => sizeOf(spec.shape) > 0))
    throw new ShapeError(
      `${labelOf(rule)}: an input of shape ${inputs.map((t) => formatShape(t.shape)).join(", ")} has no elements`,
    );
  return runtime.filled(rule.name, outputs, value ?? 0);
};

// Field by field: a spread costs a third of the whole dispatch.
const operand = ({ shape, dtype }: TensorSpec, { storage }: StorageRef): Operand => ({
  shape,
  dtype,
  storage: storage as object,
});

const labelOf = ({ label, name }: { readonly label?: string; readonly name: string }): string => label ?? name;

/** @throws DisposedError, ArgumentError, BackendLostError unless all tensors are alive and on one living backend. */
export const expectOperands = (op: string, tensors: readonly Tensor[], names: readonly string[] = []): Runtime => {
  const runtime = (tensors[0] as Tensor).runtime;
  const nameOf = (i: number): string => names[i] ?? (tensors.length === 1 ? "x" : `input ${i}`);
  for (const [i, tensor] of tensors.entries()) {
    if (tensor.isDisposed) expectAlive(op, nameOf(i), tensor);
    if (tensor.runtime !== runtime)
      throw new ArgumentError(
        `${op}: ${nameOf(i)} is on backend ${tensor.runtime.backend.name}, ${nameOf(0)} on ${runtime.backend.name}` +
          " (another instance, if the names agree)",
      );
  }
  runtime.expectAlive();
  return runtime;
};

/**
 * For ops that are made of others: their arguments are checked under their own names before any kernel runs. The first
 * one must be given.
 *
 * @throws DisposedError, ArgumentError, BackendLostError
 */
export const expectArguments = (op: string, named: Readonly<Record<string, Tensor | undefined>>): Runtime => {
  const given = Object.entries(named).filter((entry): entry is [string, Tensor] => entry[1] !== undefined);
  return expectOperands(
    op,
    given.map(([, tensor]) => tensor),
    given.map(([name]) => name),
  );
};

const attach = (node: GradNode, outputs: readonly Tensor[], saves: Saves): void => {
  outputs.forEach((output, index) => {
    if (!isFloat(output.dtype)) return;
    output.edge = { node, index };
    node.retain();
  });
  node.setOutputs(outputs, saves);
};

const isRecorded = (inputs: readonly Tensor[], outputs: readonly TensorSpec[]): boolean =>
  isRecording() && inputs.some((t) => t.edge) && outputs.some((spec) => isFloat(spec.dtype));

/** `rule` has a gradient. */
const record = <K extends OpName>(
  rule: OpRule<K>,
  runtime: Runtime,
  inputs: readonly Tensor[],
  attrs: Attrs<K>,
  results: readonly Tensor[],
): void => {
  const saves = rule.saves ?? {};
  const gradient = rule.gradient as GradientRule<Attrs<K>>;
  attach(GradNode.record({ op: labelOf(rule), runtime, attrs, rule: gradient, inputs, saves }), results, saves);
};

/**
 * Run an op that its public function has validated: pick the native kernel or the decomposition, allocate, run, and
 * record it if a gradient may be asked for. Ops without inputs say on which `runtime`.
 *
 * @throws DisposedError, ArgumentError, BackendLostError, OutOfMemoryError, UnsupportedError, KernelError; nothing leaks.
 */
export const dispatchAll = <K extends OpName>(
  rule: OpRule<K>,
  inputs: readonly Tensor[],
  attrs: Attrs<K>,
  outputs: readonly TensorSpec[],
  shapes: KernelShapes = {},
  runtime: Runtime = expectOperands(labelOf(rule), inputs, rule.inputs),
): readonly Tensor[] => {
  if (!isRecorded(inputs, outputs)) return execute(runtime, rule, inputs, attrs, outputs, shapes);
  if (!rule.gradient)
    return rule.decompose
      ? scope(() => (rule.decompose as NonNullable<typeof rule.decompose>)(inputs, attrs, outputs))
      : execute(runtime, rule, inputs, attrs, outputs, shapes);
  const results = execute(runtime, rule, inputs, attrs, outputs, shapes);
  record(rule, runtime, inputs, attrs, results);
  return results;
};

/** `dispatchAll` for the ops with one output. */
export const dispatch = <K extends OpName>(
  rule: OpRule<K>,
  inputs: readonly Tensor[],
  attrs: Attrs<K>,
  output: TensorSpec,
  shapes?: KernelShapes,
  runtime?: Runtime,
): Tensor => dispatchAll(rule, inputs, attrs, [output], shapes, runtime)[0] as Tensor;

/** Two ops in a row that a kernel may do in one. Neither's gradient reads what lies between. */
export interface FusedRule<K extends OpName, A extends OpName, B extends OpName> {
  /** Has the attributes of `first`; its decomposition is the two. */
  readonly fused: OpRule<K>;
  readonly first: OpRule<A>;
  /** Takes the first output of `first`, and keeps its shape. */
  readonly second: OpRule<B>;
  readonly secondAttrs: Attrs<B>;
}

/**
 * As `dispatchAll` of `first` and then of `second`, to the bit: what lies between is never stored. Recorded as the two, so
 * that gradient rules by name find each.
 */
export const dispatchFused = <K extends OpName, A extends OpName, B extends OpName>(
  { fused, first, second, secondAttrs }: FusedRule<K, A, B>,
  inputs: readonly Tensor[],
  attrs: Attrs<A> & Attrs<K>,
  outputs: readonly TensorSpec[],
): readonly Tensor[] => {
  const runtime = expectOperands(labelOf(fused), inputs, first.inputs);
  const results = execute(runtime, fused, inputs, attrs, outputs, {});
  if (!isRecorded(inputs, outputs)) return results;
  const [result, ...rest] = results as [Tensor, ...Tensor[]];
  // Stands for what lies between: its place in the graph, not its values.
  const between = runtime.tensor(result.ref, result);
  record(first, runtime, inputs, attrs, [between, ...rest]);
  record(second, runtime, [between], secondAttrs, [result]);
  between.dispose();
  return results;
};

/** The same elements under another shape of the same size, sharing storage. The caller has checked the shape. */
export const view = (op: string, tensor: Tensor, shape: Shape): Tensor => {
  expectOperands(op, [tensor]);
  const result = tensor.runtime.tensor(tensor.ref, { shape, dtype: tensor.dtype });
  if (tensor.edge && isRecording()) {
    const rule: GradientRule<null> = (c) => [view(op, c.grad(), tensor.shape)];
    const node = GradNode.record({ op, runtime: tensor.runtime, attrs: null, rule, inputs: [tensor], saves: {} });
    attach(node, [result], {});
  }
  return result;
};

/** A tensor from numbers on the backend of `like`: tables of indices, masks and weights that an op needs. */
export const constant = (like: Tensor, spec: TensorSpec, numbers: ArrayLike<number>): Tensor =>
  like.runtime.fromHost("constant", spec, encode(spec.dtype, numbers));

/** Record a function with a gradient of its own, which may read all inputs and the output, computed unrecorded. */
export const recordCustom = (op: string, inputs: readonly Tensor[], output: Tensor, rule: GradientRule<null>): void => {
  const saves = { inputs: inputs.map((_, i) => i), outputs: [0] };
  attach(GradNode.record({ op, runtime: output.runtime, attrs: null, rule, inputs, saves }), [output], saves);
};
