/** Event files of TensorBoard: TFRecords that carry the protocol buffers Event and Summary. */
import { Buffer } from "node:buffer";
import { PbfWriter } from "pbf";
import type { Metric } from "./metrics.js";

const crcTable: Int32Array = /* @__PURE__ */ Int32Array.from({ length: 256 }, (_, i) => {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** Castagnoli's (RFC 3720, B.4). */
export const crc32c = (bytes: Uint8Array): number => {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 0xff] as number);
  return ~crc >>> 0;
};

/** A checksum of data that may hold checksums itself: rotated and moved. */
const maskedCrc = (bytes: Uint8Array): number => {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
};

/** Length, its checksum, the data, their checksum; little-endian. */
export const tfRecord = (data: Uint8Array): Uint8Array => {
  const record = Buffer.alloc(16 + data.length);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc(data), 12 + data.length);
  return record;
};

export interface ScalarEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly scalars: Readonly<Record<string, number>>;
}

/** Numbers of fields in event.proto and summary.proto. */
const fields = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, value: 1, tag: 1, simpleValue: 2 } as const;

const encode = (write: (pbf: PbfWriter) => void): Uint8Array => {
  const pbf = new PbfWriter();
  write(pbf);
  return pbf.finish();
};

const versionEvent = (wallTime: number): Uint8Array =>
  encode((pbf) => {
    pbf.writeDoubleField(fields.wallTime, wallTime);
    pbf.writeStringField(fields.fileVersion, "brain.Event:2");
  });

const scalarEvent = ({ wallTime, step, scalars }: ScalarEvent): Uint8Array =>
  encode((pbf) => {
    pbf.writeDoubleField(fields.wallTime, wallTime);
    pbf.writeVarintField(fields.step, step);
    pbf.writeMessage(
      fields.summary,
      (values, summary) => {
        for (const value of Object.entries(values))
          summary.writeMessage(
            fields.value,
            ([tag, number], out) => {
              out.writeStringField(fields.tag, tag);
              out.writeFloatField(fields.simpleValue, number);
            },
            value,
          );
      },
      scalars,
    );
  });

/** A whole event file. */
export const eventFile = (wallTime: number, events: readonly ScalarEvent[]): Uint8Array =>
  Buffer.concat([versionEvent(wallTime), ...events.map(scalarEvent)].map(tfRecord));

/** Curves of the same name lie in one diagram, one colour a folder. */
export const scalarEvents = (
  metrics: readonly Metric[],
  startedAt: number,
): Readonly<Record<"train" | "validation", readonly ScalarEvent[]>> => ({
  train: metrics.flatMap((metric): ScalarEvent[] => {
    if (metric.event !== "step") return [];
    const { time, step, loss, accuracy, lr, images, seconds } = metric;
    const speed = seconds > 0 ? { images_per_second: images / seconds } : {};
    return [{ wallTime: startedAt + time, step, scalars: { loss, accuracy, learning_rate: lr, ...speed } }];
  }),
  validation: metrics.flatMap((metric): ScalarEvent[] => {
    if (metric.event !== "validation") return [];
    const { time, step, loss, accuracy } = metric;
    return [{ wallTime: startedAt + time, step, scalars: { loss, accuracy } }];
  }),
});
