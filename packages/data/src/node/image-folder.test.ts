import fs from "node:fs/promises";
import { basename, join } from "node:path";
import { ArgumentError } from "@striate/core";
import { encode } from "fast-png";
import { expect, test } from "vitest";
import { channelStatistics, splitDataset } from "../dataset.js";
import { DataError } from "../errors.js";
import { bytesOf, pillow } from "../testing/pillow.js";
import { imageFolder } from "./image-folder.js";
import { temporaryFolder } from "./testing/fixtures.js";

/** A PNG of one colour. */
const plain = (red: number, green = red, blue = red, height = 4, width = 4): Uint8Array =>
  encode({
    width,
    height,
    channels: 3,
    data: Uint8Array.from({ length: 3 * height * width }, (_, i) => [red, green, blue][i % 3] as number),
  });

const makeFolder = async (files: Readonly<Record<string, Uint8Array | string>>): Promise<string> => {
  const folder = await temporaryFolder();
  for (const [path, bytes] of Object.entries(files)) {
    await fs.mkdir(join(folder, path, ".."), { recursive: true });
    await fs.writeFile(join(folder, path), bytes);
  }
  return folder;
};

const failure = async (files: Readonly<Record<string, Uint8Array | string>>): Promise<DataError> => {
  const dir = await makeFolder(files);
  const error = await imageFolder(dir, { size: 2 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DataError);
  (error as DataError).message = (error as DataError).message.replaceAll(dir, "DIR");
  return error as DataError;
};

test("folders are classes, sorted; images come by class and name", async () => {
  const dir = await makeFolder({
    "dog/b.png": plain(30),
    "dog/a.PNG": plain(20, 21, 22, 5, 8),
    "cat/x.png": plain(10),
    "Zebra/1.jpg": bytesOf(pillow.files.find(({ name }) => name === "JPEG of greys")?.file as string),
    "cat/.DS_Store": "litter",
    "cat/Thumbs.db": "litter",
    "README.txt": "beside the folders",
    ".git/config": "hidden",
  });
  const done: unknown[] = [];
  const dataset = await imageFolder(dir, { size: 2, onProgress: (counts) => void done.push(counts) });
  expect(dataset).toMatchObject({
    name: basename(dir),
    count: 4,
    channels: 3,
    height: 2,
    width: 2,
    classes: ["Zebra", "cat", "dog"],
    synthetic: false,
  });
  expect([...dataset.labels]).toEqual([0, 1, 2, 2]);
  expect([...dataset.images.subarray(12)]).toEqual([
    ...new Array(12).fill(10),
    ...[20, 21, 22].flatMap((value) => new Array(4).fill(value)),
    ...new Array(12).fill(30),
  ]);
  expect({ mean: dataset.mean, std: dataset.std }).toEqual(channelStatistics(dataset));
  expect(done).toEqual([1, 2, 3, 4].map((images) => ({ images, total: 4 })));
});

test("grey, another shape, a name, and a part held out", async () => {
  const files = Object.fromEntries(
    ["a", "b"].flatMap((c) => Array.from({ length: 5 }, (_, i) => [`${c}/${i}.png`, plain(10 * i, 0, 0, 6, 9)])),
  );
  const dataset = await imageFolder(await makeFolder(files), {
    size: { height: 3, width: 5 },
    channels: 1,
    name: "own",
  });
  expect(dataset).toMatchObject({ name: "own", count: 10, channels: 1, height: 3, width: 5 });
  const { train, validation } = splitDataset(dataset, { validation: 4, seed: 1 });
  expect([train.count, validation.count]).toEqual([6, 4]);
  expect([...validation.labels].sort()).toEqual([0, 0, 1, 1]);
});

test("images of one colour have a deviation of 1", async () => {
  const { std } = await imageFolder(await makeFolder({ "a/1.png": plain(7) }), { size: 2 });
  expect(std).toEqual([1, 1, 1]);
});

test.skipIf(process.platform === "win32")("links are followed, a broken one is an error", async () => {
  const elsewhere = await makeFolder({ "images/1.png": plain(5) });
  const dir = await makeFolder({ "a/1.png": plain(1) });
  await fs.symlink(join(elsewhere, "images"), join(dir, "b"));
  await fs.symlink(join(elsewhere, "images", "1.png"), join(dir, "a", "2.png"));
  expect(await imageFolder(dir, { size: 2 })).toMatchObject({ count: 3, classes: ["a", "b"] });
  await fs.symlink(join(elsewhere, "nowhere"), join(dir, "a", "3.png"));
  await expect(imageFolder(dir, { size: 2 })).rejects.toThrow(`cannot read ${join(dir, "a", "3.png")}`);
  await fs.rm(join(dir, "a", "3.png"));
  await fs.symlink(dir, join(dir, "a", "loop"));
  await expect(imageFolder(dir, { size: 2 })).rejects.toThrow("is a folder");
});

test("errors name the folder or the file", async () => {
  const expected = join("DIR", "cat", "1.png");
  expect(await failure({})).toMatchObject({ code: "data-missing", message: expect.stringContaining(expected) });
  expect((await failure({ "1.png": plain(1) })).message).toContain("DIR has no folders; expected one for each class");
  expect(await failure({ "a/1.png": plain(1), "b/.keep": "" })).toMatchObject({
    code: "data-missing",
    message: `${join("DIR", "b")} has no images, but is a class by its place`,
  });
  expect(await failure({ "a/1.gif": "GIF89a" })).toMatchObject({
    code: "data-corrupt",
    message: expect.stringContaining(`${join("DIR", "a", "1.gif")} is neither a PNG nor a JPEG`),
  });
  expect((await failure({ "a/1.png": plain(1).subarray(0, 40) })).message).toContain(
    `${join("DIR", "a", "1.png")} cannot be read as a PNG: it ends early`,
  );
  expect((await failure({ "a/more/1.png": plain(1) })).message).toBe(
    `${join("DIR", "a", "more")} is a folder; images lie directly in the folder of their class`,
  );
  const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`${i}/1.png`, ""]));
  expect((await failure(many)).message).toContain("DIR has 257 folders, expected at most 256 classes");
  const dir = await makeFolder({ "a/1.png": plain(1, 1, 1, 9, 9) });
  await expect(imageFolder(dir, { size: 2, maxPixels: 80 })).rejects.toThrow("it is 9 x 9, expected at most 80 pixels");
  await expect(imageFolder(join(dir, "none"), { size: 2 })).rejects.toMatchObject({ code: "data-missing" });
  await expect(imageFolder(join(dir, "a", "1.png"), { size: 2 })).rejects.toThrow("is no folder");
});

test("bad options", async () => {
  const dir = await makeFolder({ "a/1.png": plain(1) });
  await expect(imageFolder(dir, { size: 0 })).rejects.toThrow(ArgumentError);
  await expect(imageFolder(dir, { size: { height: 2, width: 0.5 } })).rejects.toThrow("imageFolder: size is 0.5");
  await expect(imageFolder(dir, { size: 2, channels: 4 as 3 })).rejects.toThrow("channels is 4, expected 1 or 3");
  await expect(imageFolder(dir, { size: 2 ** 17 })).rejects.toThrow("choose a smaller size");
});

test("the signal ends it with its reason", async () => {
  const dir = await makeFolder({ "a/1.png": plain(1), "a/2.png": plain(2) });
  const controller = new AbortController();
  const reason = new Error("enough");
  const reading = imageFolder(dir, { size: 2, signal: controller.signal, onProgress: () => controller.abort(reason) });
  await expect(reading).rejects.toBe(reason);
});
