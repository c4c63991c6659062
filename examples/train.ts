// A small CNN, trained on made-up images, saved and loaded again. For real images see `cifar10` of "@striate/data/node".
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCpuBackend } from "@striate/backend-cpu";
import { tensorsFromHost } from "@striate/checkpoint";
import { loadSafetensors, saveSafetensors } from "@striate/checkpoint/node";
import { crossEntropy } from "@striate/core";
import { batches, syntheticDataset } from "@striate/data";
import { batchNorm2d, conv2d, flatten, linear, maxPool2d, relu, sequential } from "@striate/nn";
import { sgd } from "@striate/optim";
import { evaluate } from "@striate/train";

const backend = await createCpuBackend();
const training = syntheticDataset({ count: 640, seed: 1, split: "train", height: 16, width: 16 });
const test = syntheticDataset({ count: 200, seed: 1, split: "test", height: 16, width: 16 });

const create = (seed: number) =>
  sequential(
    [conv2d(3, 8, 3, { padding: 1, bias: false }), batchNorm2d(8), relu(), maxPool2d(4), flatten(), linear(128, 10)],
    { backend, seed },
  );
const net = create(1);
const optimizer = sgd(net.parameters(), { lr: 0.1, momentum: 0.9 });
for (let epoch = 0; epoch < 3; epoch++) {
  for (const { images, labels, index, total } of batches(training, { backend, size: 64, seed: 1, epoch })) {
    const loss = optimizer.step(() => crossEntropy(net.forward(images), labels)); // forward, backward, update
    if (index === total - 1) console.log(`epoch ${epoch + 1}: loss ${(await loss.item()).toFixed(4)}`);
    loss.dispose();
  }
}
const { accuracy } = await evaluate(net, batches(test, { backend, size: 100 }));
console.log(`test accuracy ${accuracy}`);

const folder = await mkdtemp(join(tmpdir(), "striate-example-"));
const file = join(folder, "net.safetensors");
await saveSafetensors(file, net.stateDict());
const copy = create(2);
const weights = tensorsFromHost((await loadSafetensors(file)).tensors, { backend });
copy.loadStateDict(weights);
const again = await evaluate(copy, batches(test, { backend, size: 100 }));
console.log(`after saving and loading ${again.accuracy}`);
await rm(folder, { recursive: true });
backend.dispose();
if (accuracy < 0.5 || again.accuracy !== accuracy) throw new Error("the example did not learn, or did not save");
