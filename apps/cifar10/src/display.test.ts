import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { createDisplay } from "./display.js";

class Recorder extends Writable {
  written = "";
  readonly columns = 80;
  readonly isTTY: boolean;
  constructor(isTTY: boolean) {
    super({ decodeStrings: false });
    this.isTTY = isTTY; // for cli-progress
  }
  override _write(chunk: string, _: string, done: () => void): void {
    this.written += chunk;
    done();
  }
}

const setup = ({ json = false, isTTY = true } = {}) => {
  const stdout = new Recorder(isTTY);
  const stderr = new Recorder(isTTY);
  return { stdout, stderr, display: createDisplay({ stdout, stderr }, { json, interactive: isTTY, colors: isTTY }) };
};

const esc = "\u001b";

describe("events", () => {
  test("are JSON with --json, one a line, nothing else", () => {
    const { stdout, stderr, display } = setup({ json: true });
    display.event({ event: "a", text: "two\nlines" }, "for people");
    display.event({ event: "b", loss: Number.NaN }, "for people");
    expect(
      stdout.written
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { event: "a", text: "two\nlines" },
      { event: "b", loss: null },
    ]);
    expect(stderr.written).toBe("");
  });

  test("are text without", () => {
    const { stdout, display } = setup();
    display.event({ event: "a" }, "for people");
    expect(stdout.written).toBe("for people\n");
  });
});

test.each([true, false])("notices and errors go to standard error, coloured where it shows colours (%s)", (isTTY) => {
  const { stdout, stderr, display } = setup({ isTTY });
  display.notice("so it is");
  display.error("so it is not");
  expect(stripVTControlCharacters(stderr.written)).toBe("so it is\nerror: so it is not\n");
  expect(stderr.written.includes(esc)).toBe(isTTY);
  expect(stdout.written).toBe("");
});

describe("the progress line", () => {
  /** What was drawn since the last time, without how. */
  const drawn = (stream: Recorder): string => {
    const text = stripVTControlCharacters(stream.written);
    stream.written = "";
    return text;
  };

  test("is drawn at once and goes away before anything else is written", () => {
    const { stdout, stderr, display } = setup();
    display.progress({ phase: "training", done: 0, total: 10 });
    expect(drawn(stderr)).toBe("training  0:00");
    display.event({ event: "a" }, "text");
    expect(stdout.written).toBe("text\n");
    // To the first column, and everything from there cleared.
    expect(stderr.written).toBe(`${esc}[1G${esc}[0J`);
    stderr.written = "";
    display.notice("more");
    expect(stderr.written).toBe("more\n");
  });

  test("is the same one while a phase lasts, a new one for the next", async () => {
    const { stderr, display } = setup();
    display.progress({ phase: "training", label: "epoch 1/2", done: 1, total: 2, details: ["loss 1"] });
    expect(drawn(stderr)).toMatch(/^epoch 1\/2 .* 50% {2}loss 1 {2}0:00$/);
    display.progress({ phase: "training", label: "epoch 2/2", done: 2, total: 2, details: ["loss 2"] });
    await expect.poll(() => drawn(stderr)).toMatch(/^epoch 2\/2 .*100% {2}loss 2 {2}0:00 left$/);
    display.progress({ phase: "testing", done: 1, total: 4 });
    expect(drawn(stderr)).toMatch(/^testing .* 25%/);
    display.clear();
  });

  test("shows the time spent where the end is not known", () => {
    const { stderr, display } = setup();
    display.progress({ phase: "downloading", done: 5e6, total: undefined, details: ["5 MB"] });
    expect(drawn(stderr)).toBe("downloading  5 MB  0:00");
    display.clear();
  });

  test("fits into the terminal", () => {
    const { stderr, display } = setup();
    display.progress({ phase: "training", done: 5, total: 10, details: ["x".repeat(70), "y".repeat(70)] });
    expect(drawn(stderr).length).toBeLessThan(80);
    display.clear();
  });

  test("changes no mode of the terminal that a killed process would leave behind", () => {
    const { stderr, display } = setup();
    display.progress({ phase: "training", done: 1, total: 10 });
    display.clear();
    // Cursor, wrapping, saved position.
    expect(stderr.written).not.toMatch(new RegExp(`${esc}(\\[\\?|7|8)`));
  });

  test("is not there without a terminal", () => {
    const { stderr, display } = setup({ isTTY: false });
    display.progress({ phase: "training", done: 1, total: 2 });
    display.clear();
    expect(stderr.written).toBe("");
  });
});
