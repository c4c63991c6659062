import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TrainingError } from "../errors.js";
import { type LineFileSystem, openJsonLines } from "./json-lines.js";

let folder: string;
let path: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), "striate-lines-"));
  path = join(folder, "metrics.jsonl");
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const text = (): string => fs.readFileSync(path, "utf8");
const systemError = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code, syscall: "write" });

describe("openJsonLines", () => {
  test("appends lines that are there at once, and after what was there", () => {
    const lines = openJsonLines(path);
    lines.write({ a: 1 });
    expect(text()).toBe('{"a":1}\n');
    lines.write({ b: "ü\n" });
    expect(lines.length).toBe(fs.statSync(path).size);
    lines.sync();
    lines.close();
    const again = openJsonLines(path);
    again.write({ c: null });
    expect(again.read()).toEqual([{ a: 1 }, { b: "ü\n" }, { c: null }]);
    again.close();
  });

  test("cuts a last line that was not finished, wherever it was broken", () => {
    const whole = '{"a":1}\n{"b":"ü"}\n';
    const bytes = Buffer.from(whole);
    for (let end = 0; end <= bytes.length; end++) {
      fs.writeFileSync(path, bytes.subarray(0, end));
      const lines = openJsonLines(path);
      const kept = end === bytes.length ? 2 : end >= 8 ? 1 : 0;
      expect(lines.read()).toHaveLength(kept);
      lines.write({ c: 1 });
      expect(lines.read().at(-1)).toEqual({ c: 1 });
      lines.close();
    }
  });

  test("goes back to the end of an earlier line, and nowhere else", () => {
    const lines = openJsonLines(path);
    lines.write({ a: 1 });
    const { length } = lines;
    lines.write({ b: 2 });
    for (const wrong of [1, length - 1, length + 1, 1000])
      expect(() => lines.truncate(wrong)).toThrow(expect.objectContaining({ code: "run-corrupt" }));
    lines.truncate(length);
    lines.write({ c: 3 });
    expect(text()).toBe('{"a":1}\n{"c":3}\n');
    lines.truncate(0);
    expect(text()).toBe("");
    lines.close();
  });

  test("a line in the middle that is no JSON is named", () => {
    fs.writeFileSync(path, '{"a":1}\noops\n{"b":2}\n');
    const lines = openJsonLines(path);
    expect(() => lines.read()).toThrow(/line 2 is no JSON: oops/);
    lines.close();
  });

  test("a disk that takes part of a line: a typed error, and no part of it stays", () => {
    let room = 12;
    const files: LineFileSystem = {
      ...fs,
      writeSync: ((descriptor: number, bytes: Uint8Array, at: number) => {
        if (room === 0) throw systemError("ENOSPC");
        const written = fs.writeSync(descriptor, bytes, at, Math.min(room, bytes.length - at));
        room -= written;
        return written;
      }) as typeof fs.writeSync,
    };
    const lines = openJsonLines(path, files);
    lines.write({ a: 1 });
    expect(() => lines.write({ bbbbbb: 2 })).toThrow(
      expect.objectContaining({ code: "run-write", cause: expect.objectContaining({ code: "ENOSPC" }) }),
    );
    expect(text()).toBe('{"a":1}\n');
    room = 100;
    lines.write({ c: 3 });
    expect(lines.read()).toEqual([{ a: 1 }, { c: 3 }]);
    lines.close();
  });

  test.each(["openSync", "readFileSync", "fsyncSync", "truncateSync"] as const)("%s fails: a typed error", (call) => {
    fs.writeFileSync(path, '{"a":1}\nbroken');
    const files: LineFileSystem = {
      ...fs,
      [call]: () => {
        throw systemError("EIO");
      },
    };
    expect(() => openJsonLines(path, files).sync()).toThrow(TrainingError);
  });
});
