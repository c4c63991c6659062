/** Golden vectors as data: what files of this format hold. */
import { type Attributes, attributes, type Json, list, number, numbers, record, text, texts } from "./attributes.js";
import { parseSafetensors, type StoredTensor, VectorFormatError } from "./safetensors.js";

/** One case of an `ops/NAME.safetensors`. */
export interface OperatorVector {
  /** `conv2d/007` */
  readonly id: string;
  readonly op: string;
  readonly attrs: Attributes;
  readonly inputs: ReadonlyMap<string, StoredTensor>;
  readonly outputs: ReadonlyMap<string, StoredTensor>;
  /** The gradient that arrives at the first output, if any input gets one. */
  readonly arriving: StoredTensor | undefined;
  readonly gradients: ReadonlyMap<string, StoredTensor>;
}

export interface OptimizerVector {
  readonly id: string;
  readonly optimizer: string;
  readonly options: Readonly<Record<string, Json>>;
  readonly initial: readonly number[];
  readonly grads: readonly (readonly number[])[];
  readonly params: readonly (readonly number[])[];
}

export interface ScheduleVector {
  readonly id: string;
  readonly schedule: string;
  readonly baseLr: number;
  readonly options: Readonly<Record<string, Json>>;
  readonly lr: readonly number[];
  /** For schedules that follow a metric. */
  readonly metric: readonly number[] | undefined;
}

export interface TrainingVector {
  readonly id: string;
  readonly net: string;
  readonly salt: string;
  readonly optimizer: string;
  readonly options: Readonly<Record<string, Json>>;
  readonly batch: number;
  readonly steps: number;
  readonly parameters: readonly (readonly [name: string, shape: readonly number[]])[];
  readonly loss: readonly number[];
  /** The same training by PyTorch in float32: how far float32 strays. */
  readonly lossFloat32: readonly number[];
  readonly finalL2: ReadonlyMap<string, number>;
  readonly running: ReadonlyMap<string, number>;
  readonly evalLogits: readonly (readonly number[])[];
}

/** A tensor that any language can rebuild; see `rebuild`. */
export interface RebuiltSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind: "weight" | "scale" | "bias" | "var";
}

export interface ModelVector {
  readonly id: string;
  readonly model: string;
  readonly salt: string;
  readonly input: readonly number[];
  readonly labels: readonly number[];
  readonly temperature: number;
  readonly parameters: readonly RebuiltSpec[];
  readonly buffers: readonly RebuiltSpec[];
  readonly logits: readonly (readonly number[])[];
  readonly loss: number;
  readonly gradL2: ReadonlyMap<string, number>;
}

export interface Vectors {
  readonly operators: readonly OperatorVector[];
  readonly optimizers: readonly OptimizerVector[];
  readonly schedules: readonly ScheduleVector[];
  readonly trainings: readonly TrainingVector[];
  readonly models: readonly ModelVector[];
  /** Files that could not be read; each is a failed case. */
  readonly unreadable: readonly { readonly file: string; readonly reason: string }[];
}

export const noVectors: Vectors = {
  operators: [],
  optimizers: [],
  schedules: [],
  trainings: [],
  models: [],
  unreadable: [],
};

export const mergeVectors = (parts: readonly Partial<Vectors>[]): Vectors => ({
  operators: parts.flatMap((part) => part.operators ?? []),
  optimizers: parts.flatMap((part) => part.optimizers ?? []),
  schedules: parts.flatMap((part) => part.schedules ?? []),
  trainings: parts.flatMap((part) => part.trainings ?? []),
  models: parts.flatMap((part) => part.models ?? []),
  unreadable: parts.flatMap((part) => part.unreadable ?? []),
});

const parseJson = (where: string, source: string): Json => {
  try {
    return JSON.parse(source) as Json;
  } catch (error) {
    throw new VectorFormatError(`${where}: no JSON: ${(error as Error).message}`);
  }
};

const withDefault = (value: Json, otherwise: Json): Json => value ?? otherwise;

/** @throws VectorFormatError */
export const parseOperators = (bytes: Uint8Array): OperatorVector[] => {
  const { metadata, tensors } = parseSafetensors(bytes);
  const cases = list("cases", parseJson("__metadata__.cases", metadata.get("cases") ?? "null"));
  return cases.map((item, i): OperatorVector => {
    const fields = record(`cases[${i}]`, item);
    const id = text(`cases[${i}].id`, fields["id"]);
    const stored = (part: string, name: string): StoredTensor => {
      const tensor = tensors.get(`${id}/${part}/${name}`);
      if (!tensor) throw new VectorFormatError(`${id}: there is no tensor ${id}/${part}/${name}`);
      return tensor;
    };
    const named = (part: string, names: readonly string[]): Map<string, StoredTensor> =>
      new Map(names.map((name) => [name, stored(part, name)]));
    const outputs = texts(`${id}: outputs`, fields["outputs"]);
    const grads = texts(`${id}: grads`, withDefault(fields["grads"], []));
    if (outputs.length === 0) throw new VectorFormatError(`${id}: it has no outputs`);
    return {
      id,
      op: text(`${id}: op`, fields["op"]),
      attrs: attributes(id, record(`${id}: attrs`, withDefault(fields["attrs"], {}))),
      inputs: named("in", texts(`${id}: inputs`, fields["inputs"])),
      outputs: named("out", outputs),
      arriving: grads.length > 0 ? stored("gout", outputs[0] as string) : undefined,
      gradients: named("gin", grads),
    };
  });
};

const matrix = (where: string, value: Json): number[][] =>
  list(where, value).map((row, i) => [...numbers(`${where}[${i}]`, row)]);

const numberMap = (where: string, value: Json): Map<string, number> =>
  new Map(Object.entries(record(where, value)).map(([name, item]) => [name, number(`${where}.${name}`, item)]));

const optionsName = (options: Readonly<Record<string, Json>>): string =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${[value].flat().join(",")}`)
    .join(";");

const parseOptimizer = (fields: Readonly<Record<string, Json>>, where: string): OptimizerVector => {
  const optimizer = text(`${where}.optimizer`, fields["optimizer"]);
  const options = record(`${where}.options`, withDefault(fields["options"], {}));
  return {
    id: `${where}/${optimizer}(${optionsName(options)})`,
    optimizer,
    options,
    initial: numbers(`${where}.initial`, fields["initial"]),
    grads: matrix(`${where}.grads`, fields["grads"]),
    params: matrix(`${where}.params`, fields["params"]),
  };
};

const parseSchedule = (fields: Readonly<Record<string, Json>>, where: string): ScheduleVector => {
  const schedule = text(`${where}.schedule`, fields["schedule"]);
  const options = record(`${where}.options`, withDefault(fields["options"], {}));
  return {
    id: `${where}/${schedule}(${optionsName(options)})`,
    schedule,
    baseLr: number(`${where}.base_lr`, fields["base_lr"]),
    options,
    lr: numbers(`${where}.lr`, fields["lr"]),
    metric: fields["metric"] === undefined ? undefined : numbers(`${where}.metric`, fields["metric"]),
  };
};

const parseTraining = (fields: Readonly<Record<string, Json>>, where: string): TrainingVector => ({
  id: where,
  net: text(`${where}: net`, fields["net"]),
  salt: text(`${where}: salt`, withDefault(fields["salt"], "")),
  optimizer: text(`${where}: optimizer`, fields["optimizer"]),
  options: record(`${where}: options`, fields["options"]),
  batch: number(`${where}: batch`, fields["batch"]),
  steps: number(`${where}: steps`, fields["steps"]),
  parameters: list(`${where}: parameters`, fields["parameters"]).map((item, i) => {
    const [name, shape] = list(`${where}: parameters[${i}]`, item);
    return [text(`${where}: parameters[${i}]`, name), numbers(`${where}: parameters[${i}]`, shape)] as const;
  }),
  loss: numbers(`${where}: loss`, fields["loss"]),
  lossFloat32: numbers(`${where}: loss_float32`, withDefault(fields["loss_float32"], [])),
  finalL2: numberMap(`${where}: final_l2`, withDefault(fields["final_l2"], {})),
  running: numberMap(`${where}: running`, withDefault(fields["running"], {})),
  evalLogits: matrix(`${where}: eval_logits_last64`, withDefault(fields["eval_logits_last64"], [])),
});

const rebuiltKinds = ["weight", "scale", "bias", "var"] as const;

const rebuiltSpecs = (where: string, value: Json): RebuiltSpec[] =>
  list(where, value).map((item, i) => {
    const [name, shape, kind] = list(`${where}[${i}]`, item);
    const known = rebuiltKinds.find((candidate) => candidate === kind);
    if (!known) throw new VectorFormatError(`${where}[${i}]: unknown kind ${String(kind)}`);
    return { name: text(`${where}[${i}]`, name), shape: numbers(`${where}[${i}]`, shape), kind: known };
  });

const parseModel = (fields: Readonly<Record<string, Json>>, where: string): ModelVector => {
  const mode = text(`${where}: mode`, withDefault(fields["mode"], "eval"));
  if (mode !== "eval") throw new VectorFormatError(`${where}: mode is ${mode}, expected eval`);
  return {
    id: where,
    model: text(`${where}: model`, fields["model"]),
    salt: text(`${where}: salt`, withDefault(fields["salt"], "")),
    input: numbers(`${where}: input`, fields["input"]),
    labels: numbers(`${where}: labels`, fields["labels"]),
    temperature: number(`${where}: temperature`, withDefault(fields["temperature"], 1)),
    parameters: rebuiltSpecs(`${where}: parameters`, fields["parameters"]),
    buffers: rebuiltSpecs(`${where}: buffers`, withDefault(fields["buffers"], [])),
    logits: matrix(`${where}: logits`, fields["logits"]),
    loss: number(`${where}: loss`, fields["loss"]),
    gradL2: numberMap(`${where}: grad_l2`, withDefault(fields["grad_l2"], {})),
  };
};

/**
 * What a JSON file holds, told by its contents: optimizers, schedules, a training or a model. Undefined for anything else.
 *
 * @throws VectorFormatError for one of these with something missing or wrong.
 */
export const parseJsonVectors = (source: string, name: string): Partial<Vectors> | undefined => {
  const value = parseJson(name, source);
  if (Array.isArray(value)) {
    const items = value.map((item, i) => ({ fields: record(`${name}[${i}]`, item), where: `${name}/${i}` }));
    if (items.length > 0 && items.every(({ fields }) => "grads" in fields))
      return { optimizers: items.map(({ fields, where }) => parseOptimizer(fields, where)) };
    if (items.length > 0 && items.every(({ fields }) => "schedule" in fields))
      return { schedules: items.map(({ fields, where }) => parseSchedule(fields, where)) };
    return undefined;
  }
  const fields = record(name, value);
  if ("net" in fields && "loss" in fields) return { trainings: [parseTraining(fields, name)] };
  if ("model" in fields && "logits" in fields) return { models: [parseModel(fields, name)] };
  return undefined;
};
