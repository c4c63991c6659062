import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tileFile } from "./backend.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "striate-tiles-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a file of tiles keeps them, in a folder that it makes", () => {
  const path = join(folder, "cache", "tiles.json");
  const tiles = tileFile(path);
  tiles.setItem("V8 1", "4x8");
  tiles.setItem("V8 2", "4x12");
  tiles.setItem("V8 1", "4x16");
  const again = tileFile(path);
  expect(["V8 1", "V8 2", "V8 3", "toString"].map((key) => again.getItem(key))).toEqual(["4x16", "4x12", null, null]);
  expect(readdirSync(join(folder, "cache"))).toEqual(["tiles.json"]);
});

test.each(["", "{", "null", "[1]", '{"V8 1": 4}'])("a file that says %j is written anew", (content) => {
  const path = join(folder, "tiles.json");
  writeFileSync(path, content);
  const tiles = tileFile(path);
  tiles.setItem("V8 2", "4x12");
  expect(tiles.getItem("V8 2")).toBe("4x12");
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ "V8 2": "4x12" });
});

test("where there is no file, and none can be made, it throws", () => {
  const path = join(folder, "tiles.json");
  expect(() => tileFile(path).getItem("V8 1")).toThrow("ENOENT");
  writeFileSync(path, "{}");
  expect(() => tileFile(join(path, "below")).setItem("V8 1", "4x8")).toThrow(/ENOTDIR|EEXIST/);
});

test("a write that fails leaves nothing behind", () => {
  expect(() => tileFile(folder).setItem("V8 1", "4x8")).toThrow();
  expect(readdirSync(folder)).toEqual([]);
  expect(readdirSync(join(folder, "..")).filter((name) => name.startsWith(`${basename(folder)}.`))).toEqual([]);
});
