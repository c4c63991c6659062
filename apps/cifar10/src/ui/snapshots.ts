/** Looks into a network between two steps of its training. They leave no trace in it: weights, statistics, counters. */
import { ArgumentError, keep, noGrad, scope, type Tensor, valueAndGrad } from "@striate/core";
import { batches, type ImageDataset, subset } from "@striate/data";
import { logitsOf, type Module, type Output, rememberModes } from "@striate/nn";
import { confusionOf } from "../report/figures.js";
import {
  activationPicture,
  imagePicture,
  type Picture,
  saliencyPicture,
  type WeightPicture,
  weightPicture,
} from "../report/pictures.js";
import { topClasses } from "../report/predictions.js";
import type { CellImage, EvaluationImages, Example, Snapshot, SnapshotRequest, WeightsView } from "./protocol.js";

export interface Subject {
  readonly net: Module<(x: Tensor) => Output>;
  /** As it is trained with. */
  readonly loss: (logits: Tensor, targets: Tensor) => Tensor;
  /** Gradients are of the loss over some of its images. */
  readonly training: ImageDataset;
  /** What predictions and activations are shown of. Never the test set: nobody shall choose by it. */
  readonly examples: ImageDataset;
}

type Taken = Snapshot<Picture>;

/** Images that a gradient is taken over. */
const gradientImages = 64;
/** Predictions to show at once. */
const shownPredictions = 12;
/** Images to keep of each cell of the confusion matrix. */
const imagesPerCell = 12;

/** In evaluation mode: nothing is dropped, no running statistics move, no counter advances. */
const inEvaluation = async <T>({ net }: Subject, body: () => Promise<T>): Promise<T> => {
  const restore = rememberModes(net);
  net.eval();
  try {
    return await body();
  } finally {
    restore();
  }
};

interface Inputs {
  readonly images: Tensor;
  readonly labels: Tensor;
}

/** Hands `body` images of a dataset as the network sees them; they live until it has returned. */
const withImages = async <T>(
  { net }: Subject,
  dataset: ImageDataset,
  indices: readonly number[],
  body: (inputs: Inputs) => Promise<T>,
): Promise<T> => {
  const [parameter] = net.parameters();
  if (!parameter) throw new ArgumentError("snapshot: the network has no parameters");
  const { backend } = parameter;
  for (const batch of batches(subset(dataset, indices), { backend, size: indices.length })) return body(batch);
  throw new ArgumentError("snapshot: there are no images");
};

const read = async (tensor: Tensor): Promise<Float32Array | Float64Array> =>
  (await tensor.data()) as Float32Array | Float64Array;

/** Reads tensors that are the caller's and frees them, also when that fails. */
const readAll = async (tensors: readonly Tensor[]): Promise<(Float32Array | Float64Array)[]> => {
  try {
    return await Promise.all(tensors.map(read));
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
};

const pictured = (
  { training: image }: Subject,
  shape: readonly number[],
  values: Float32Array | Float64Array,
): WeightPicture => {
  const drawn = weightPicture(shape, values, { image });
  if (!drawn) throw new ArgumentError(`snapshot: weights of shape [${shape.join(", ")}] are no picture`);
  return drawn;
};

/** Parameters that a picture can be made of. */
const weightNames = (parameters: ReadonlyMap<string, Tensor>): string[] =>
  [...parameters].flatMap(([name, { shape, size }]) =>
    (shape.length === 4 || shape.length === 2) && size > 0 ? [name] : [],
  );

/** @throws ArgumentError for a name that is none of `names`, or if there are none */
const choose = (names: readonly string[], wanted: string | undefined): string => {
  const name = wanted ?? names[0];
  if (name === undefined) throw new ArgumentError("snapshot: the network has no layer that a picture can be made of");
  if (!names.includes(name)) throw new ArgumentError(`snapshot: the network has no ${name}`);
  return name;
};

const weightsView = (
  subject: Subject,
  layers: readonly string[],
  layer: string,
  shape: readonly number[],
  values: Float32Array | Float64Array,
): WeightsView<Picture> => ({ layer, layers, shape, ...pictured(subject, shape, values) });

const filters = async (subject: Subject, wanted: string | undefined): Promise<WeightsView<Picture>> => {
  const parameters = subject.net.namedParameters();
  const layers = weightNames(parameters);
  const layer = choose(layers, wanted);
  const weight = parameters.get(layer) as Tensor;
  return weightsView(subject, layers, layer, weight.shape, await read(weight));
};

const rootMeanSquare = (tensor: Tensor): Tensor => tensor.square().mean().sqrt();

const gradients = (subject: Subject, wanted: string | undefined) => {
  const { net, loss, training } = subject;
  const parameters = new Map([...net.namedParameters()].filter(([, parameter]) => parameter.requiresGrad));
  const layers = weightNames(parameters);
  const layer = choose(layers, wanted);
  const names = [...parameters.keys()];
  const images = Math.min(gradientImages, training.count);
  const indices = Array.from({ length: images }, (_, i) => i);
  return withImages(subject, training, indices, async (inputs) => {
    const tensors = [...parameters.values()];
    const made = scope(() => {
      const { grads } = valueAndGrad(() => loss(logitsOf(net.forward(inputs.images)), inputs.labels), tensors);
      return noGrad(() => [
        grads[names.indexOf(layer)] as Tensor,
        ...tensors.map(rootMeanSquare),
        ...grads.map(rootMeanSquare),
      ]);
    });
    const [values = new Float32Array(), ...sizes] = await readAll(made);
    const { shape } = parameters.get(layer) as Tensor;
    return {
      images,
      sizes: names.map((name, i) => ({
        name,
        weight: sizes[i]?.[0] as number,
        gradient: sizes[names.length + i]?.[0] as number,
      })),
      ...weightsView(subject, layers, layer, shape, values),
    };
  });
};

const exampleOf = (
  { examples }: Subject,
  index: number,
  probabilities: Float32Array | Float64Array,
): Example<Picture> => ({
  index,
  label: examples.labels[index] as number,
  picture: imagePicture(examples, index),
  top: topClasses(probabilities),
});

/** Runs the network, in evaluation mode, under the eyes of `see`. @returns the logits, the caller's to dispose */
const forward = ({ net }: Subject, images: Tensor, see: (layer: string, output: Tensor) => void): Tensor => {
  const stop = net.observe((name, output) => {
    const { shape } = output as Partial<Tensor>;
    // The whole network's output is its last layer's; some layers return several tensors.
    if (name !== "" && (shape?.length === 4 || shape?.length === 2)) see(name, output as Tensor);
  });
  try {
    return noGrad(() => logitsOf(net.forward(images)));
  } finally {
    stop();
  }
};

/** Layers whose output is a picture, in the order in which they run; those with maps apart. */
const layersOf = (subject: Subject, images: Tensor): { readonly layers: string[]; readonly withMaps: string[] } => {
  const ranks = new Map<string, number>();
  forward(subject, images, (layer, { shape }) => ranks.set(layer, shape.length)).dispose();
  const layers = [...ranks.keys()];
  return { layers, withMaps: layers.filter((layer) => ranks.get(layer) === 4) };
};

/** What `layer` makes of the images, and the logits; both belong to the scope of the caller. */
const outputOf = (
  subject: Subject,
  images: Tensor,
  layer: string,
): { readonly logits: Tensor; readonly output: Tensor } => {
  const seen: Tensor[] = [];
  try {
    const logits = forward(subject, images, (name, output) => {
      // Out of the scope of the layer around it.
      if (name === layer && seen.length === 0) seen.push(keep(output.detach()));
    });
    return { logits, output: (seen[0] as Tensor).detach() };
  } finally {
    for (const output of seen) output.dispose();
  }
};

const activations = (subject: Subject, wanted: string | undefined, example: number) => {
  const { net, loss, examples } = subject;
  const index = example % examples.count;
  return withImages(subject, examples, [index], async ({ images, labels }) => {
    const { layers, withMaps } = layersOf(subject, images);
    const layer = choose(layers, wanted ?? withMaps[0]);
    const made = scope(() => {
      const { grads } = valueAndGrad(() => loss(logitsOf(net.forward(images)), labels), [images]);
      const { logits, output } = outputOf(subject, images, layer);
      return noGrad(() => [output, grads[0] as Tensor, logits.softmax(1)]);
    });
    const shape = (made[0] as Tensor).shape.slice(1);
    const [values, gradient, probabilities] = (await readAll(made)) as [Float32Array, Float32Array, Float32Array];
    const drawn = activationPicture(shape, values);
    if (!drawn) throw new ArgumentError(`snapshot: the output of ${layer} is empty`);
    return {
      layer,
      layers,
      shape,
      ...drawn,
      example: exampleOf(subject, index, probabilities),
      saliency: saliencyPicture([examples.channels, examples.height, examples.width], gradient),
      examples: examples.count,
    };
  });
};

const predictions = (subject: Subject, from: number) => {
  const { net, examples } = subject;
  const shown = Math.min(shownPredictions, examples.count);
  const indices = Array.from({ length: shown }, (_, i) => (from + i) % examples.count);
  return withImages(subject, examples, indices, async ({ images }) => {
    const made = noGrad(() => scope(() => logitsOf(net.forward(images)).softmax(1)));
    const classes = made.shape[1] as number;
    const [all = new Float32Array()] = await readAll([made]);
    return {
      examples: indices.map((index, i) => exampleOf(subject, index, all.subarray(i * classes, (i + 1) * classes))),
      count: examples.count,
    };
  });
};

/**
 * Makes what the page asked for.
 *
 * @throws ArgumentError for a layer that the network has not, or none that a picture can be made of; nothing is left then.
 */
export const takeSnapshot = (subject: Subject, request: SnapshotRequest, step: number): Promise<Taken> =>
  inEvaluation(subject, async (): Promise<Taken> => {
    switch (request.what) {
      case "filters":
        return { what: "filters", step, ...(await filters(subject, request.layer)) };
      case "gradients":
        return { what: "gradients", step, ...(await gradients(subject, request.layer)) };
      case "activations":
        return { what: "activations", step, ...(await activations(subject, request.layer, request.example ?? 0)) };
      case "predictions":
        return { what: "predictions", step, ...(await predictions(subject, request.from ?? 0)) };
    }
  });

export interface Evaluated {
  /** What was evaluated, in its order. */
  readonly dataset: ImageDataset;
  /** Default: the dataset's name. */
  readonly split?: string | undefined;
  /** Steps made. */
  readonly step: number;
  readonly labels: ArrayLike<number>;
  readonly predictions: ArrayLike<number>;
}

/** The confusion matrix with the first few images of each of its cells. */
export const evaluationImages = ({ dataset, split, step, labels, predictions }: Evaluated): EvaluationImages => {
  const { channels, height, width } = dataset;
  const classes = dataset.classes.length;
  const taken = new Uint32Array(classes * classes);
  const cells: CellImage[] = [];
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index] as number;
    const predicted = predictions[index] as number;
    const cell = label * classes + predicted;
    if ((taken[cell] as number) >= imagesPerCell) continue;
    taken[cell] = (taken[cell] as number) + 1;
    cells.push({ index, label, predicted });
  }
  const { images } = subset(
    dataset,
    cells.map(({ index }) => index),
  );
  return {
    split: split ?? dataset.name,
    step,
    classes: dataset.classes,
    confusion: confusionOf(labels, predictions, classes),
    cells,
    channels,
    height,
    width,
    images,
  };
};
