import { basename, extname, join } from "node:path";
import { replaceFile } from "@striate/checkpoint/node";
import type { Tensor } from "@striate/core";
import { cifar10Classes } from "@striate/data";
import {
  activations,
  deconvnet,
  encodePng,
  enlarge,
  featureMapPictures,
  filterPictures,
  gradCam,
  grid,
  imagePictures,
  inputGradient,
  layerNames,
  occlusion,
  overlay,
  type Picture,
  saliencyMap,
} from "@striate/visualize";
import { openBackend } from "../backend.js";
import { type CommonOptions, createCommand, parseWith, readPath } from "../cli.js";
import { ConfigError } from "../config/resolve.js";
import { prepareOutput } from "../output.js";
import { pictureTensor, readPicture, statisticsOf } from "../pictures.js";
import { findRun } from "../runs.js";
import { type Net, trainedNetwork } from "../training/trained.js";
import type { CommandDefinition } from "./command.js";

export interface VisualizeOptions extends CommonOptions {
  readonly image: string;
  readonly run: string | undefined;
  readonly out: string | undefined;
  readonly layer: string | undefined;
  readonly class: string | undefined;
  readonly backend: string;
}

const command = () =>
  createCommand({
    name: "visualize",
    summary:
      "Draw what a trained network sees in a PNG or JPEG picture, as PNG files (weights of a run; default: the newest).",
    examples: [
      "npm run cifar10 -- visualize cat.png",
      "npm run cifar10 -- visualize cat.png --layer group2.conv2 --class dog --out pictures",
    ],
    details: () =>
      [
        "Files:",
        "  input         the picture as the network gets it",
        "  filters       the weights of the first convolution",
        "  features      the feature maps of --layer",
        "  deconvnet     what excites the nine strongest of these maps (Zeiler and Fergus, 2014)",
        "  saliency      pixels that the class depends on (Simonyan et al., 2013)",
        "  guided        the same by guided backpropagation (Springenberg et al., 2014)",
        "  grad-cam      where --layer sees evidence for the class (Selvaraju et al., 2017)",
        "  occlusion     the class's probability while a square hides a part: blue where it falls",
      ].join("\n"),
  })
    .argument("<image>", "a file")
    .option("--run <folder>", "whose weights", readPath)
    .option("--out <folder>", "where the files go (default: pictures/NAME in the run's folder)", readPath)
    .option("--layer <name>", "whose feature maps to show (default: the last ones of at least 4x4)")
    .option("--class <name>", "what to look for (default: what the network takes the picture for)")
    .option("--backend <name>", "what computes", "auto");

/** Side of a picture in pixels, about: those of 32 are too small to look at. */
const shownSide = 256;
const enlarged = (picture: Picture): Picture =>
  enlarge(picture, Math.max(1, Math.round(shownSide / Math.max(picture.width, picture.height))));

/** Layers that return feature maps for an image, with the maps' shape, in the order of the forward pass. */
const mapLayers = (net: Net, image: Tensor): readonly (readonly [string, readonly number[]])[] => {
  const found = activations(net, image, layerNames(net));
  const layers = [...found].flatMap(([name, { shape }]) => (shape.length === 4 ? [[name, shape] as const] : []));
  for (const tensor of found.values()) tensor.dispose();
  return layers;
};

const chooseLayer = (net: Net, image: Tensor, wanted: string | undefined): string => {
  const layers = mapLayers(net, image);
  const names = layers.map(([name]) => name);
  if (names.length === 0) throw new ConfigError("visualize: the run's network has no feature maps to show");
  if (wanted === undefined) return layers.findLast(([, [, , height = 0]]) => height >= 4)?.[0] ?? (names[0] as string);
  if (!names.includes(wanted))
    throw new ConfigError(`--layer ${wanted}: no feature maps come from there; they come from ${names.join(", ")}`);
  return wanted;
};

const chooseClass = (classes: readonly string[], wanted: string | undefined): readonly number[] | undefined => {
  if (wanted === undefined) return undefined;
  const label = classes.indexOf(wanted);
  if (label < 0) throw new ConfigError(`--class ${wanted} is none of ${classes.join(", ")}`);
  return [label];
};

/** What `body` makes of a tensor, which is disposed behind it. */
const using = async <T>(tensor: Tensor, body: (tensor: Tensor) => T | Promise<T>): Promise<T> => {
  try {
    return await body(tensor);
  } finally {
    tensor.dispose();
  }
};

const strongestMaps = async (net: Net, image: Tensor, layer: string, count: number): Promise<number[]> =>
  using(activations(net, image, [layer]).get(layer) as Tensor, async (maps) => {
    const [, channels, height, width] = maps.shape as readonly [number, number, number, number];
    const values = await maps.data();
    const peak = (channel: number): number => {
      let most = Number.NEGATIVE_INFINITY;
      for (let i = channel * height * width; i < (channel + 1) * height * width; i++)
        most = Math.max(most, values[i] as number);
      return most;
    };
    return Array.from({ length: channels }, (_, channel) => ({ channel, peak: peak(channel) }))
      .sort((a, b) => b.peak - a.peak)
      .slice(0, count)
      .map(({ channel }) => channel);
  });

export const visualize: CommandDefinition<VisualizeOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options, [image]) => ({ ...options, image }) as unknown as VisualizeOptions),
  run: async (
    { image: file, run: given, out, layer: wanted, class: className, backend: name },
    { reporter, signal },
  ) => {
    const run = findRun(given);
    const pixels = await readPicture(file);
    const folder = out ?? join(run, "pictures", basename(file, extname(file)));
    const { backend } = await openBackend(name);
    try {
      const { net, config } = await trainedNetwork(run, backend, cifar10Classes.length);
      const statistics = statisticsOf(config.data.source);
      const classes = chooseClass(statistics.classes, className);
      const image = pictureTensor(pixels, statistics, backend);
      const layer = chooseLayer(net, image, wanted);
      const [input] = (await imagePictures(image, { normalization: statistics })) as [Picture];

      const signed = async (gradient: Tensor): Promise<Picture> =>
        using(gradient, async (g) => enlarged((await imagePictures(g, { signed: true }))[0] as Picture));
      const heat = async (map: Tensor): Promise<Picture> =>
        using(map, async (m) => {
          const [, height, width] = m.shape as readonly [number, number, number];
          return overlay(enlarged(input), { values: await m.data(), height, width });
        });
      const filterWeights = [...net.namedParameters().values()].find(({ shape }) => shape.length === 4);
      const drawings: Readonly<Record<string, () => Promise<Picture>>> = {
        input: async () => enlarged(input),
        ...(filterWeights && { filters: async () => enlarged(grid(await filterPictures(filterWeights))) }),
        features: async () =>
          using(activations(net, image, [layer]).get(layer) as Tensor, async (maps) =>
            grid((await featureMapPictures(maps)).map((map) => enlarge(map, Math.max(1, Math.round(64 / map.width))))),
          ),
        deconvnet: async () => {
          const pictures: Picture[] = [];
          for (const channel of await strongestMaps(net, image, layer, 9))
            pictures.push(await signed(await deconvnet(net, image, layer, { channel })));
          return grid(pictures);
        },
        saliency: async () =>
          using(await inputGradient(net, image, { classes }), (gradient) => heat(saliencyMap(gradient))),
        guided: async () => signed(await inputGradient(net, image, { classes, rule: "guided" })),
        "grad-cam": async () => heat(await gradCam(net, image, layer, { classes })),
        occlusion: async () => heat(await occlusion(net, image, { classes, size: 8, stride: 2 })),
      };

      await prepareOutput(folder);
      const entries = Object.entries(drawings);
      for (const [i, [what, draw]] of entries.entries()) {
        if (signal.aborted) break;
        reporter.progress({ phase: "drawing", label: what, done: i, total: entries.length });
        const path = join(folder, `${what}.png`);
        await replaceFile(path, [encodePng(await draw())]);
        reporter.event({ event: "picture", what, file: path, layer, run }, () => path);
      }
      return "ok";
    } finally {
      backend.dispose();
    }
  },
};
