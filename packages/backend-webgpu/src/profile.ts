/** Where the time goes, from the device's own clock. */
import { bufferUsage, MAP_READ } from "./flags.js";

/** All dispatches of one op since profiling began. */
export interface ProfileEntry {
  readonly op: string;
  readonly dispatches: number;
  readonly milliseconds: number;
  /** Share of the whole, 0 to 1. */
  readonly share: number;
  /** 10^9 floating-point operations a second; 0 for ops that are not counted in them. */
  readonly gigaflops: number;
}

export interface Profiler {
  /** How to begin the pass of one dispatch. */
  pass(op: string, flops: number): GPUComputePassDescriptor;
  /** At the end of a batch, before it is submitted. */
  resolve(encoder: GPUCommandEncoder): void;
  submitted(): void;
  /** Adds up the batches that are done. */
  collect(): Promise<void>;
  report(): readonly ProfileEntry[];
}

interface Sum {
  dispatches: number;
  nanoseconds: number;
  flops: number;
}

/** Timestamps of a batch: two for each dispatch. */
const CAPACITY = 4096;
const BYTES = CAPACITY * 8;

interface Batch {
  readonly buffer: GPUBuffer;
  readonly dispatches: readonly { readonly op: string; readonly flops: number }[];
}

/** Needs the feature `timestamp-query`. Every dispatch gets a pass of its own, which costs some speed. */
export const createProfiler = (device: GPUDevice): Profiler => {
  const querySet = device.createQuerySet({ type: "timestamp", count: CAPACITY });
  const resolved = device.createBuffer({ size: BYTES, usage: bufferUsage.queryResolve | bufferUsage.copySrc });
  const sums = new Map<string, Sum>();
  const free: GPUBuffer[] = [];
  let current: { op: string; flops: number }[] = [];
  let encoded: Batch | null = null;
  let pending: Promise<void>[] = [];

  const add = async ({ buffer, dispatches }: Batch): Promise<void> => {
    try {
      await buffer.mapAsync(MAP_READ);
    } catch {
      return; // The device is gone: whoever reads results will be told.
    }
    const times = new BigUint64Array(buffer.getMappedRange());
    dispatches.forEach(({ op, flops }, i) => {
      const sum = sums.get(op) ?? { dispatches: 0, nanoseconds: 0, flops: 0 };
      sums.set(op, sum);
      sum.dispatches++;
      sum.flops += flops;
      // Some drivers' clocks step back now and then.
      sum.nanoseconds += Math.max(0, Number((times[2 * i + 1] as bigint) - (times[2 * i] as bigint)));
    });
    buffer.unmap();
    free.push(buffer);
  };

  return {
    pass: (op, flops) => {
      const first = current.length * 2;
      current.push({ op, flops });
      return { timestampWrites: { querySet, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 } };
    },
    resolve: (encoder) => {
      if (current.length === 0) return;
      const buffer =
        free.pop() ?? device.createBuffer({ size: BYTES, usage: bufferUsage.copyDst | bufferUsage.mapRead });
      encoder.resolveQuerySet(querySet, 0, current.length * 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, buffer, 0, current.length * 16);
      encoded = { buffer, dispatches: current };
      current = [];
    },
    submitted: () => {
      if (encoded) pending.push(add(encoded));
      encoded = null;
    },
    collect: async () => {
      const waiting = pending;
      pending = [];
      await Promise.all(waiting);
    },
    report: () => {
      const total = [...sums.values()].reduce((all, { nanoseconds }) => all + nanoseconds, 0);
      return [...sums]
        .map(([op, { dispatches, nanoseconds, flops }]) => ({
          op,
          dispatches,
          milliseconds: nanoseconds / 1e6,
          share: total > 0 ? nanoseconds / total : 0,
          gigaflops: nanoseconds > 0 ? flops / nanoseconds : 0,
        }))
        .sort((a, b) => b.milliseconds - a.milliseconds);
    },
  };
};

/** Lines of equal length, an op each, the longest first, and their sum at the end. No newline behind the last. */
export const profileTable = (entries: readonly ProfileEntry[]): string => {
  const sum = (pick: (entry: ProfileEntry) => number): number =>
    entries.reduce((total, entry) => total + pick(entry), 0);
  const milliseconds = sum((entry) => entry.milliseconds);
  const total: ProfileEntry = {
    op: "total",
    dispatches: sum((entry) => entry.dispatches),
    milliseconds,
    share: milliseconds > 0 ? 1 : 0,
    gigaflops: 0,
  };
  const rows = [
    ["op", "dispatches", "ms", "share", "GFLOP/s"],
    ...[...entries, total].map(({ op, dispatches, milliseconds, share, gigaflops }) => [
      op,
      `${dispatches}`,
      milliseconds.toFixed(3),
      `${(100 * share).toFixed(1)} %`,
      gigaflops > 0 ? gigaflops.toFixed(1) : "",
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length))) ?? [];
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join("  ");
  return rows.map(line).join("\n");
};
