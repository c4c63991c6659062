import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, memoryUsage, ShapeError, type Tensor, tensor } from "@striate/core";
import {
  batchNorm2d,
  build,
  conv2d,
  dropout,
  flatten,
  gelu,
  linear,
  type Module,
  maxPool2d,
  relu,
  sequential,
} from "@striate/nn";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  activations,
  deconvnet,
  featureMapPictures,
  filterPictures,
  gradCam,
  imagePictures,
  inputGradient,
  layerNames,
  occlusion,
  saliencyMap,
} from "./index.js";

let backend: Backend;
let net: Module;
let images: Tensor;
let before: { tensors: number; storages: number };

const alive = (): typeof before => {
  const { tensors, storages } = memoryUsage(backend);
  return { tensors, storages };
};

/** Deterministic, of both signs. */
const wave = (n: number): number[] => Array.from({ length: n }, (_, i) => Math.sin(1 + 12.9898 * i) * 1.5);

beforeEach(async () => {
  backend = await createCpuBackend();
  const layers = [
    conv2d(3, 4, 3),
    batchNorm2d(4),
    relu(),
    maxPool2d(2),
    conv2d(4, 5, 2),
    relu(),
    flatten(),
    dropout(0.5),
    linear(20, 6),
  ];
  net = build(sequential(layers), { backend, seed: 3, dtype: "float64" });
  images = tensor(wave(2 * 3 * 8 * 8), { backend, shape: [2, 3, 8, 8], dtype: "float64" });
  before = alive();
});

/** Whatever a test made, it disposed; and the network trains as before. */
afterEach(() => {
  expect(net.training).toBe(true);
  expect([...net.children.values()].every((child) => child.training)).toBe(true);
  expect(alive()).toEqual(before);
});

const values = async (t: Tensor): Promise<number[]> => {
  const data = [...(await t.data())];
  t.dispose();
  return data;
};

const logitsOf = async (x: number[]): Promise<number[][]> => {
  const input = tensor(x, { backend, shape: [2, 3, 8, 8], dtype: "float64" });
  net.eval();
  const logits = net.forward(input);
  const rows = (await logits.toArray()) as number[][];
  net.train();
  logits.dispose();
  input.dispose();
  return rows;
};

describe("layers", () => {
  test("have names, and their outputs can be had", async () => {
    expect(layerNames(net)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    const found = activations(net, images, ["3", "0"]);
    expect([...found].map(([name, { shape }]) => [name, shape])).toEqual([
      ["3", [2, 4, 3, 3]],
      ["0", [2, 4, 6, 6]],
    ]);
    for (const t of found.values()) t.dispose();
  });

  test("that are not there are refused, with those that are", () => {
    expect(() => activations(net, images, ["conv"])).toThrow(/no layer "conv"; the layers are 0, 1, /);
  });
});

describe("inputGradient", () => {
  test("is the slope of each image's own logit", async () => {
    const classes = [4, 1];
    const gradient = await values(await inputGradient(net, images, { classes }));
    const x = wave(images.size);
    for (const at of [0, 77, 191, 192, 300, 383]) {
      const image = Math.floor(at / 192);
      const moved = async (by: number): Promise<number> =>
        (await logitsOf(x.map((v, i) => (i === at ? v + by : v))))[image]?.[classes[image] as number] as number;
      expect(gradient[at]).toBeCloseTo(((await moved(1e-6)) - (await moved(-1e-6))) / 2e-6, 6);
    }
  });

  test("explains what the network takes an image for, unless told otherwise", async () => {
    const rows = await logitsOf(wave(images.size));
    const classes = rows.map((row) => row.indexOf(Math.max(...row)));
    const own = await values(await inputGradient(net, images));
    expect(own).toEqual(await values(await inputGradient(net, images, { classes })));
  });

  test("has three rules at a ReLU", async () => {
    const [plain, guided, deconv] = await Promise.all(
      (["gradient", "guided", "deconvnet"] as const).map(async (rule) =>
        values(await inputGradient(net, images, { rule, classes: [0, 0] })),
      ),
    );
    expect(guided).not.toEqual(plain);
    expect(deconv).not.toEqual(plain);
    expect(deconv).not.toEqual(guided);
  });

  test.each(["deconvnet", "guided"] as const)("at its smooth kin as well: %s", async (rule) => {
    const smooth = build(sequential([gelu(), flatten(), linear(2, 1, { bias: false })]), { backend, seed: 1 });
    const weight = tensor([-2, 3], { backend, shape: [1, 2] });
    (smooth.namedParameters().get("2.weight") as Tensor).assign(weight);
    for (const [x, expected] of [
      [
        [1, 1],
        [0, 3],
      ],
      [[1, -1], rule === "guided" ? [0, 0] : [0, 3]],
    ] as const) {
      const input = tensor([...x], { backend, shape: [1, 1, 1, 2] });
      expect(await values(await inputGradient(smooth, input, { rule }))).toEqual(expected);
      input.dispose();
    }
    weight.dispose();
    smooth.dispose();
  });

  test("refuses a rule that is none, as deconvnet does", async () => {
    const rule = "guidedd" as "guided";
    const message = 'rule is "guidedd", expected one of gradient, deconvnet, guided';
    await expect(inputGradient(net, images, { rule })).rejects.toThrow(`inputGradient: ${message}`);
    await expect(deconvnet(net, images, "0", { channel: 0, rule })).rejects.toThrow(`deconvnet: ${message}`);
  });

  test("refuses classes that do not fit", async () => {
    await expect(inputGradient(net, images, { classes: [0] })).rejects.toThrow("1 classes for 2 images");
    await expect(inputGradient(net, images, { classes: [0, 6] })).rejects.toThrow("class 6 is none of the 6");
    await expect(inputGradient(net, images, { classes: [0.5, 1] })).rejects.toThrow(ArgumentError);
  });

  test("gives a saliency map: the largest magnitude over the channels", async () => {
    const gradient = tensor([1, -2, 3, -4, 0.5, -0.5], { backend, shape: [1, 3, 1, 2] });
    const map = saliencyMap(gradient);
    expect(await map.toArray()).toEqual([[[3, 4]]]);
    map.dispose();
    gradient.dispose();
  });
});

describe("deconvnet", () => {
  /** One positive filter: what comes back is the filter times the activation, at the place of the maximum. */
  test("brings the strongest activation back to its pixels", async () => {
    const small = build(sequential([conv2d(1, 1, 2, { bias: false }), relu(), maxPool2d(2)]), { backend, seed: 1 });
    const weight = small.namedParameters().get("0.weight") as Tensor;
    const filter = tensor([1, 2, 3, 4], { backend, shape: [1, 1, 2, 2] });
    weight.assign(filter);
    const x = tensor([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], { backend, shape: [1, 1, 4, 4] });
    const found = await deconvnet(small, x, "2", { channel: 0 });
    expect(await found.toArray()).toEqual([
      [
        [
          [4, 8, 0, 0],
          [12, 16, 0, 0],
          [0, 0, 0, 0],
          [0, 0, 0, 0],
        ],
      ],
    ]);
    for (const t of [found, filter, x]) t.dispose();
    small.dispose();
  });

  test("refuses what is no feature map", async () => {
    await expect(deconvnet(net, images, "8", { channel: 0 })).rejects.toThrow(ShapeError);
    await expect(deconvnet(net, images, "0", { channel: 4 })).rejects.toThrow("channel is 4, 0 has 4");
    await expect(deconvnet(net, images, "9", { channel: 0 })).rejects.toThrow(ArgumentError);
  });
});

describe("gradCam", () => {
  test("weighs the maps by their mean gradient", async () => {
    const classes = [2, 5];
    const cam = await gradCam(net, images, "5", { classes });
    expect(cam.shape).toEqual([2, 2, 2]);
    // Behind layer 5 the network is linear: the gradient is the row of the weights.
    const weight = (await (net.namedParameters().get("8.weight") as Tensor).toArray()) as number[][];
    const maps = activations(net, images, ["5"]).get("5") as Tensor;
    const a = (await maps.toArray()) as number[][][][];
    maps.dispose();
    const expected = classes.map((label, n) =>
      [0, 1].map((y) =>
        [0, 1].map((x) => {
          let sum = 0;
          for (let k = 0; k < 5; k++) {
            const row = (weight[label] as number[]).slice(4 * k, 4 * k + 4);
            sum += (row.reduce((s, v) => s + v, 0) / 4) * (a[n]?.[k]?.[y]?.[x] as number);
          }
          return Math.max(sum, 0);
        }),
      ),
    );
    const found = (await cam.toArray()) as number[][][];
    found.flat(2).forEach((value, i) => {
      expect(value).toBeCloseTo(expected.flat(2)[i] as number, 12);
    });
    cam.dispose();
  });

  test("refuses a layer without feature maps", async () => {
    await expect(gradCam(net, images, "6")).rejects.toThrow("6 returns [2, 20], expected feature maps");
    await expect(gradCam(net, images, "10")).rejects.toThrow(ArgumentError);
  });
});

describe("classes to explain", () => {
  type Explain = (net: Module, images: Tensor, classes?: readonly number[]) => Promise<Tensor>;
  const tools: readonly (readonly [op: string, explain: Explain, passes: number])[] = [
    ["inputGradient", (n, x, classes) => inputGradient(n, x, { classes }), 1],
    ["gradCam", (n, x, classes) => gradCam(n, x, "5", { classes }), 2],
    ["occlusion", (n, x, classes) => occlusion(n, x, { size: 8, classes }), 1],
  ];

  test.each(tools)("%s runs the network once more only where it has to choose them", async (_, explain, passes) => {
    let runs = 0;
    const stop = net.observe((name) => {
      if (name === "8") runs++;
    });
    (await explain(net, images, [0, 5])).dispose();
    expect(runs).toBe(passes);
    (await explain(net, images)).dispose();
    expect(runs).toBe(2 * passes + 1);
    stop();
  });

  test.each(tools)("%s refuses those that do not fit, and leaves nothing", async (op, explain) => {
    await expect(explain(net, images, [0])).rejects.toThrow(new ArgumentError(`${op}: 1 classes for 2 images`));
    for (const wrong of [6, -1, 0.5, Number.NaN])
      await expect(explain(net, images, [0, wrong])).rejects.toThrow(
        new ArgumentError(`${op}: class ${wrong} is none of the 6`),
      );
    await expect(explain(net, images, [])).rejects.toThrow(ArgumentError);
  });

  test.each(tools)("%s refuses a network without logits", async (op, explain) => {
    const maps = build(sequential([conv2d(3, 4, 3), relu(), relu(), relu(), relu(), relu()]), { backend, seed: 1 });
    const float = images.cast("float32");
    for (const classes of [undefined, [0, 0]])
      await expect(explain(maps, float, classes)).rejects.toThrow(
        new ShapeError(`${op}: the network returns [2, 4, 6, 6], expected logits [N, classes]`),
      );
    float.dispose();
    maps.dispose();
  });
});

describe("occlusion", () => {
  test("covers the image, and hides nothing where the square shows what is there", async () => {
    const flat = images.zerosLike();
    const places: number[] = [];
    const map = await occlusion(net, flat, { size: 3, stride: 2, onPlace: (done) => places.push(done) });
    expect(map.shape).toEqual([2, 4, 4]);
    expect(places).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
    expect(new Set(await values(map)).size).toBe(1);
    flat.dispose();
  });

  test("is a probability, which the hidden part changes", async () => {
    const found = await values(await occlusion(net, images, { size: 4, classes: [0, 1] }));
    expect(found.every((p) => p > 0 && p < 1)).toBe(true);
    expect(new Set(found).size).toBeGreaterThan(9);
  });

  test("is low where the square hides what the class is told by", async () => {
    const small = build(sequential([flatten(), linear(9, 2, { bias: false })]), { backend, seed: 1 });
    const weight = tensor([...Array(9).fill(0), 0, 0, 0, 0, 0, 0, 0, 2, 0], { backend, shape: [2, 9] });
    (small.namedParameters().get("1.weight") as Tensor).assign(weight);
    const x = tensor(Array(9).fill(1), { backend, shape: [1, 1, 3, 3] });
    const found = await values(await occlusion(small, x, { size: 1, classes: [1], value: -1 }));
    const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
    found.forEach((p, place) => {
      expect(p).toBeCloseTo(sigmoid(place === 7 ? -2 : 2), 6);
    });
    for (const t of [weight, x, small]) t.dispose();
  });

  test.each([{ size: 0 }, { size: 9 }, { size: 2, stride: 0 }, { size: 1.5 }, { size: 2, value: Number.NaN }])(
    "refuses %o",
    async (options) => {
      await expect(occlusion(net, images, options)).rejects.toThrow(ArgumentError);
    },
  );
});

describe("pictures of tensors", () => {
  test("filters of three channels are in colour, others one a pair", async () => {
    const [first, second] = ["0.weight", "4.weight"].map((name) => net.namedParameters().get(name) as Tensor);
    const colour = await filterPictures(first as Tensor);
    expect(colour.map(({ width, height, channels }) => [width, height, channels])).toEqual(Array(4).fill([3, 3, 3]));
    const pairs = await filterPictures(second as Tensor);
    expect(pairs.length).toBe(20);
    expect(pairs[0]?.channels).toBe(1);
    await expect(filterPictures(net.namedParameters().get("8.weight") as Tensor)).rejects.toThrow(ShapeError);
  });

  test("feature maps are those of one image", async () => {
    const maps = activations(net, images, ["0"]).get("0") as Tensor;
    expect((await featureMapPictures(maps, 1)).length).toBe(4);
    await expect(featureMapPictures(maps, 2)).rejects.toThrow("image is 2, there are 2");
    maps.dispose();
  });

  test("images come back as they were before normalization", async () => {
    const [picture] = await imagePictures(tensorOf([0, 0.5, 1]), { normalization: { mean: [0.5], std: [0.5] } });
    expect([...(picture?.data ?? [])]).toEqual([128, 191, 255]);
    await expect(imagePictures(images, { normalization: { mean: [0], std: [1] } })).rejects.toThrow(ArgumentError);
  });
});

const tensorOf = (row: number[]): Tensor => {
  const t = tensor(row, { backend, shape: [1, 1, 1, row.length] });
  // The test's own: counted from here on.
  before = alive();
  return t;
};
