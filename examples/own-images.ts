// A trained network on images of one's own, in folders named for their classes, and then single files classified:
//   node own-images.js [FOLDER [WEIGHTS [IMAGE ...]]]
// WEIGHTS are those of a resnet20, whatever its classes, as `npm run cifar10 -- --preset resnet20` saves them. Without
// arguments the program draws its images, and learns from made-up ones first.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createWasmBackend } from "@striate/backend-wasm";
import { loadWeightsFile, saveSafetensors } from "@striate/checkpoint/node";
import { crossEntropy, noGrad, scope, softmax, tensor } from "@striate/core";
import { batches, fitImage, type ImageDataset, normalize, splitDataset, syntheticDataset } from "@striate/data";
import { decodeImage, imageFolder } from "@striate/data/node";
import { parameterGroups, resnet20, within } from "@striate/models";
import { build, logitsOf, type Module } from "@striate/nn";
import { sgd } from "@striate/optim";
import { evaluate, fit } from "@striate/train";
import { encodePng } from "@striate/visualize";

const backend = await createWasmBackend();
const size = 32;

const train = (net: Module, data: ImageDataset, optimizer: ReturnType<typeof sgd>, epochs: number) =>
  fit({
    net,
    optimizer,
    loss: (logits, targets) => crossEntropy(logits, targets),
    batches: (epoch, start) =>
      batches(data, { backend, size: 16, seed: 1, epoch, start, augment: { flip: "random" }, dropLast: true }),
    epochs,
    callbacks: [{ onEpoch: ({ epoch, loss }) => console.log(`epoch ${epoch + 1}: loss ${loss.toFixed(3)}`) }],
  });

/** Circles, crosses and stripes of random colours, 40 of each. */
const drawImages = async (folder: string): Promise<void> => {
  const shapes: Record<string, (x: number, y: number) => boolean> = {
    circle: (x, y) => Math.hypot(x, y) < 10,
    cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 3,
    stripes: (_, y) => Math.floor((y + size) / 4) % 2 === 0,
  };
  for (const [name, isInside] of Object.entries(shapes)) {
    await mkdir(join(folder, name), { recursive: true });
    for (let i = 0; i < 40; i++) {
      const [inside, outside] = [(c: number) => 120 + ((i * 37 + c * 53) % 130), (c: number) => (i * 29 + c * 31) % 90];
      const [dx, dy] = [size / 2 + (i % 5) - 2, size / 2 + (i % 7) - 3];
      const data = Uint8Array.from({ length: 3 * size * size }, (_, at) => {
        const [x, y, c] = [Math.floor(at / 3) % size, Math.floor(at / 3 / size), at % 3];
        return isInside(x - dx, y - dy) ? inside(c) : outside(c);
      });
      await writeFile(join(folder, name, `${i}.png`), encodePng({ width: size, height: size, channels: 3, data }));
    }
  }
};

const folder = await mkdtemp(join(tmpdir(), "striate-own-images-"));
const [given, givenWeights, ...givenFiles] = process.argv.slice(2);
const images = given ?? join(folder, "images");
const weights = givenWeights ?? join(folder, "resnet20.safetensors");
if (given === undefined) await drawImages(images);
if (givenWeights === undefined) {
  const net = build(resnet20(), { backend, seed: 1 });
  await train(net, syntheticDataset({ count: 320, seed: 1 }), sgd(net.parameters(), { lr: 0.05, momentum: 0.9 }), 1);
  await saveSafetensors(weights, net.stateDict());
  net.dispose();
}

// The class names are those of the folders.
const all = await imageFolder(images, { size });
const { train: training, validation } = splitDataset(all, { validation: Math.ceil(all.count / 6), seed: 1 });
console.log(`${training.count} + ${validation.count} images of ${all.classes.join(", ")}`);

// A new head for the new classes; everything else starts from the trained weights.
const net = build(resnet20({ classes: all.classes.length }), { backend, seed: 2 });
const isHead = within(["fc"]);
await loadWeightsFile(net, weights, { skip: isHead });

// The head alone at first, then all of it, the rest at a tenth of its rate.
net.freeze((name) => !isHead(name));
await train(net, training, sgd(net.parameters(), { lr: 0.02, momentum: 0.9 }), 2);
net.unfreeze();
await train(net, training, sgd(parameterGroups(net, [{ match: "fc", lr: 0.02 }]), { lr: 0.002, momentum: 0.9 }), 10);
const { accuracy } = await evaluate(net, batches(validation, { backend, size: 64 }));
console.log(`validation accuracy ${accuracy.toFixed(3)}`);
// Of images that are one's own the result stays, in the current folder; that of drawn ones goes with them.
const result = join(given === undefined ? folder : process.cwd(), "own-images.safetensors");
await saveSafetensors(result, net.stateDict(), { metadata: { classes: JSON.stringify(all.classes) } });
console.log(`weights: ${result}`);

const classify = async (file: string): Promise<string> => {
  const { pixels } = fitImage(decodeImage(await readFile(file), { name: file }), { height: size, width: size });
  const values = normalize({ images: pixels, channels: 3, height: size, width: size }, all);
  net.eval();
  const shares = noGrad(() =>
    scope(() => softmax(logitsOf(net.forward(tensor(values, { backend, shape: [1, 3, size, size] }))), 1)),
  );
  const probabilities = [...(await shares.data())];
  shares.dispose();
  const best = probabilities.indexOf(Math.max(...probabilities));
  return `${file}: ${all.classes[best]} (${(100 * (probabilities[best] as number)).toFixed(1)} %)`;
};
const files = givenFiles.length > 0 ? givenFiles : given ? [] : all.classes.map((name) => join(images, name, "0.png"));
for (const file of files) console.log(await classify(file));

await rm(folder, { recursive: true });
backend.dispose();
if (given === undefined && accuracy < 0.6) throw new Error("the example did not learn");
