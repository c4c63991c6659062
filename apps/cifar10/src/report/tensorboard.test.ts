import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { PbfReader } from "pbf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readMetrics } from "./metrics.js";
import { crc32c, eventFile, tfRecord } from "./tensorboard.js";
import { writeTensorBoard } from "./tensorboard-files.js";
import { fabricateRun } from "./testing/fabricate.js";

const bytes = (length: number, of: (i: number) => number): Uint8Array => Uint8Array.from({ length }, (_, i) => of(i));

test.each([
  // RFC 3720, B.4, and the check value of the catalogue of CRCs.
  ["32 zeros", bytes(32, () => 0), 0x8a9136aa],
  ["32 ones", bytes(32, () => 0xff), 0x62a8ab43],
  ["ascending", bytes(32, (i) => i), 0x46dd794e],
  ["descending", bytes(32, (i) => 31 - i), 0x113fdb5c],
  ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
  ["nothing", new Uint8Array(), 0],
])("CRC-32C of %s", (_name, data, expected) => {
  expect(crc32c(data)).toBe(expected);
});

/** The mask undone: rotated back after the constant is taken away. */
const unmasked = (masked: number): number => {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
};

const recordsOf = (file: Buffer): Buffer[] => {
  const records: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    expect(unmasked(file.readUInt32LE(at + 8))).toBe(crc32c(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(unmasked(file.readUInt32LE(at + 12 + length))).toBe(crc32c(data));
    records.push(data);
    at += 16 + length;
  }
  return records;
};

interface Event {
  wallTime?: number;
  step?: number;
  version?: string;
  scalars: Record<string, number>;
}

/** By the field numbers of event.proto and summary.proto. */
const eventOf = (record: Uint8Array): Event =>
  new PbfReader(record).readFields<Event>(
    (field, event, pbf) => {
      if (field === 1) event.wallTime = pbf.readDouble();
      else if (field === 2) event.step = pbf.readVarint(true);
      else if (field === 3) event.version = pbf.readString();
      else if (field === 5)
        pbf.readMessage((summaryField, target, summary) => {
          expect(summaryField).toBe(1);
          const value = summary.readMessage<{ tag: string; number: number }>(
            (valueField, found, reader) => {
              if (valueField === 1) found.tag = reader.readString();
              else if (valueField === 2) found.number = reader.readFloat();
            },
            { tag: "", number: Number.NaN },
          );
          target.scalars[value.tag] = value.number;
        }, event);
    },
    { scalars: {} },
  );

test("a record is framed as TFRecord frames it", () => {
  const record = Buffer.from(tfRecord(Uint8Array.of(1, 2, 3)));
  expect(record).toHaveLength(19);
  expect(recordsOf(record).map((data) => [...data])).toEqual([[1, 2, 3]]);
});

test("a file begins with its version", () => {
  const [first, second] = recordsOf(
    Buffer.from(eventFile(12.5, [{ wallTime: 13, step: 3_000_000_000, scalars: { loss: 0.5 } }])),
  );
  expect(eventOf(first as Buffer)).toEqual({ wallTime: 12.5, version: "brain.Event:2", scalars: {} });
  expect(eventOf(second as Buffer)).toEqual({ wallTime: 13, step: 3_000_000_000, scalars: { loss: 0.5 } });
});

describe("of a run", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "striate-tensorboard-"));
    await fabricateRun(folder, { epochs: 2, stepsPerEpoch: 4 });
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("there is a folder for training and one for validation, with every figure", async () => {
    const paths = await writeTensorBoard(folder);
    expect(paths.map((path) => basename(dirname(path)))).toEqual(["train", "validation"]);
    for (const path of paths) expect(basename(path)).toMatch(/^events\.out\.tfevents\.\d{10}\./);
    const [train = [], validation = []] = await Promise.all(
      paths.map(async (path) =>
        recordsOf(await readFile(path))
          .slice(1)
          .map(eventOf),
      ),
    );
    const started = Date.parse("2026-03-01T12:00:00.000Z") / 1000;
    const { records } = await readMetrics(join(folder, "metrics.jsonl"));
    const metrics = records.map(({ metric }) => metric);
    expect(train).toEqual(
      metrics.flatMap((metric) =>
        metric.event === "step"
          ? [
              {
                wallTime: started + metric.time,
                step: metric.step,
                scalars: {
                  loss: Math.fround(metric.loss),
                  accuracy: Math.fround(metric.accuracy),
                  learning_rate: Math.fround(metric.lr),
                  images_per_second: Math.fround(metric.images / metric.seconds),
                },
              },
            ]
          : [],
      ),
    );
    expect(validation.map(({ step }) => step)).toEqual([4, 8]);
    expect(Object.keys(validation[0]?.scalars ?? {})).toEqual(["loss", "accuracy"]);
  });

  test("a second time takes the place of the first", async () => {
    expect(await writeTensorBoard(folder)).toEqual(await writeTensorBoard(folder));
  });
});
