/**
 * Small updates that do not depend on each other wait, and run as one dispatch: a training step updates some hundred
 * parameters and running statistics by the same few lines, and each launch costs more than its work. They run before
 * anything else touches what they write. What they read is not given away until then.
 *
 * Tensors of an arena are parts of the same few buffers, so the updates of one dispatch are told apart by a table in its
 * parameters: where each starts among the workgroups, how long it is, and where in these buffers its operands lie.
 */
import { fitsArena } from "./arena.js";
import type { PooledBuffer, Region } from "./pool.js";
import type { GpuStorage, Program } from "./stream.js";
import { repeat, type Shader, tableOf, u32 } from "./wgsl/shader.js";

/** Elementwise on float32 operands of one size. */
export interface Update {
  readonly label: string;
  /** All that `source` depends on. */
  readonly key: string;
  readonly inputs: readonly GpuStorage[];
  readonly outputs: readonly GpuStorage[];
  /** Elements of each operand. */
  readonly size: number;
  /** 32-bit words for `scalarParams`. Updates that differ in them do not run together. */
  readonly scalars: readonly number[];
  readonly source: () => UpdateSource;
}

export interface UpdateSource extends Pick<Shader, "params" | "declarations"> {
  /** From `in0` …, each a vec4f, statements that set `out0` … */
  readonly body: string;
}

/** A dispatch on whole buffers. */
export interface MergedDispatch {
  readonly program: Program;
  readonly regions: readonly Region[];
  /** The buffers among them that it really uses. */
  readonly used: readonly PooledBuffer[];
  readonly params: readonly number[];
  readonly groups: number;
}

export interface Merger {
  add(update: Update): void;
  /** To be called before `inputs` are read and `outputs` are written by something else. */
  settle(inputs: readonly GpuStorage[], outputs: readonly GpuStorage[]): void;
  /** Whether an update that waits needs the buffer; it is released later then. */
  holds(buffer: PooledBuffer): boolean;
  flush(): void;
}

const THREADS = 64;
/** Vectors of the table, which with 64 words of scalars fill 4 KiB. */
const TABLE = 240;
/** Words before the offsets in an update's entry: its first workgroup and its length. */
const HEAD = 2;

/** Updates of one program on the same buffers. */
interface Group {
  readonly update: Update;
  readonly blocks: readonly Region[];
  /** Which block each operand lies in. */
  readonly operands: readonly number[];
  entries: { readonly count: number; readonly buffers: readonly PooledBuffer[] }[];
}

const blockOf = (buffer: PooledBuffer): Region => buffer.slab ?? buffer;

const strideOf = (operands: number): number => Math.ceil((HEAD + operands) / 4);

const shaderOf = ({ update, operands }: Group, written: ReadonlySet<number>, blocks: number, room: number): Shader => {
  const inputs = update.inputs.length;
  const { params = [], declarations = "", body } = update.source();
  const stride = strideOf(operands.length);
  const at = (k: number): string => {
    const word = HEAD + k;
    return `e${Math.floor(word / 4)}.${"xyzw"[word % 4]} + i`;
  };
  return {
    bindings: Array.from({ length: blocks }, (_, b) => ({
      name: `block${b}`,
      element: "vec4<f32>",
      access: written.has(b) ? "read_write" : "read",
    })),
    params: [tableOf("table", room * stride), ...u32("entries"), ...params],
    threads: THREADS,
    declarations,
    body: `
// The last update that starts at this workgroup or before it.
var low = 0u;
for (var high = p.entries; high - low > 1u;) {
  let middle = (low + high) / 2u;
  if (p.table[middle * ${stride}u].x <= group) { low = middle; } else { high = middle; }
}
${repeat(stride, (v) => `let e${v} = p.table[low * ${stride}u + ${v}u];`)}
let i = (group - e0.x) * ${THREADS}u + thread;
if (i >= e0.y) { return; }
${repeat(inputs, (k) => `let in${k} = block${operands[k]}[${at(k)}];`)}
${repeat(operands.length - inputs, (k) => `var out${k}: vec4f;`)}
${body}
${repeat(operands.length - inputs, (k) => `block${operands[inputs + k]}[${at(inputs + k)}] = out${k};`)}`,
  };
};

export interface MergerOptions {
  /** Gives an output that has none a buffer. */
  fill(label: string, storage: GpuStorage): void;
  release(buffer: PooledBuffer): void;
  dispatch(merged: MergedDispatch): void;
}

export const createMerger = ({ fill, release, dispatch }: MergerOptions): Merger => {
  const groups = new Map<string, Group>();
  const reading = new Set<PooledBuffer>();
  const writing = new Set<PooledBuffer>();
  let freed: PooledBuffer[] = [];

  const run = (group: Group): void => {
    const { update, blocks, operands, entries } = group;
    const stride = strideOf(operands.length);
    // One alone needs one slot of parameters, many take sixteen.
    const room = entries.length === 1 ? 1 : Math.floor(TABLE / stride);
    const table = new Array<number>(room * stride * 4).fill(0);
    let workgroups = 0;
    entries.forEach(({ count, buffers }, e) => {
      const start = e * stride * 4;
      table[start] = workgroups;
      table[start + 1] = count;
      buffers.forEach(({ slab, offset }, k) => {
        table[start + HEAD + k] = slab ? offset / 16 : 0;
      });
      workgroups += Math.ceil(count / THREADS);
    });
    const written = new Set(operands.slice(update.inputs.length));
    dispatch({
      program: {
        label: update.label,
        key: `${update.key}/${operands}/${update.inputs.length}/${room}`,
        shader: () => shaderOf(group, written, blocks.length, room),
      },
      regions: blocks,
      used: entries.flatMap(({ buffers }) => buffers),
      params: [...table, entries.length, ...update.scalars],
      groups: workgroups,
    });
    group.entries = [];
  };

  const flush = (): void => {
    if (groups.size === 0) return;
    const waiting = [...groups.values()];
    const released = freed;
    groups.clear();
    reading.clear();
    writing.clear();
    freed = [];
    for (const group of waiting) if (group.entries.length > 0) run(group);
    for (const buffer of released) release(buffer);
  };

  const settle = (inputs: readonly GpuStorage[], outputs: readonly GpuStorage[]): void => {
    if (groups.size === 0) return;
    const waits = ({ buffer }: GpuStorage): boolean => buffer !== null && writing.has(buffer);
    const used = ({ buffer }: GpuStorage): boolean => buffer !== null && reading.has(buffer);
    if (inputs.some(waits) || outputs.some((storage) => waits(storage) || used(storage))) flush();
  };

  return {
    add: (update) => {
      const { label, key, inputs, outputs, size, scalars } = update;
      settle(inputs, outputs);
      for (const storage of outputs) if (!storage.buffer) fill(label, storage);
      const buffers = [...inputs, ...outputs].map(({ buffer }) => buffer as PooledBuffer);
      const blocks = [...new Set(buffers.map(blockOf))];
      const operands = buffers.map((buffer) => blocks.indexOf(blockOf(buffer)));
      const entry = { count: Math.ceil(size / 4), buffers };
      if (!fitsArena(size * 4)) {
        run({ update, blocks, operands, entries: [entry] });
        return;
      }
      const groupKey = `${key}/${scalars}/${operands}/${blocks.map(({ id }) => id)}`;
      const group = groups.get(groupKey) ?? { update, blocks, operands, entries: [] };
      groups.set(groupKey, group);
      group.entries.push(entry);
      buffers.forEach((buffer, k) => {
        (k < inputs.length ? reading : writing).add(buffer);
      });
      if (group.entries.length === Math.floor(TABLE / strideOf(operands.length))) run(group);
    },
    settle,
    holds: (buffer) => {
      if (!reading.has(buffer) && !writing.has(buffer)) return false;
      freed.push(buffer);
      return true;
    },
    flush,
  };
};
