import { OutOfMemoryError } from "@striate/core/backend";
import { assemble, type FunctionDefinition, type MemoryType } from "./assembler/module.js";
import type { Tile } from "./kernels/tile.js";
import type { Allocator } from "./memory/allocator.js";
import type { Pool } from "./threads/pool.js";
import { MAX_ARGUMENTS, MAX_TASKS } from "./threads/protocol.js";

/**
 * What kernels compute with. A program is a function of WebAssembly, specialised as its key says; it is assembled when its
 * key is first met, and then called for tasks 0, 1, 2 …, on any thread and in any order.
 */
export interface Runtime {
  /**
   * Runs every task of a program. Its function takes (task, scratch, ...args): the task's number, the address of
   * memory that belongs to the thread alone, and `args`, i32 or f32. `key` must name all that `build` depends on.
   */
  run(
    key: string,
    build: () => FunctionDefinition,
    tasks: number,
    args: readonly number[],
    /** Bytes that each thread finds at its scratch address. Contents are unspecified. */
    scratchBytes?: number,
  ): void;
  /** Lends `bytes` of memory that all threads see. @throws OutOfMemoryError */
  withTemporary<T>(bytes: number, use: (address: number) => T): T;
  alloc(bytes: number): number;
  free(address: number): void;
  /** Of every matrix product and convolution. It never changes, so keys need not name it. */
  readonly tile: Tile;
  /** Fresh views: growing makes those that were taken before too short. */
  readonly buffer: ArrayBufferLike;
}

type Main = (task: number, scratch: number, ...args: number[]) => void;

interface Program {
  readonly main: Main;
  readonly slot: number;
  readonly generation: number;
  readonly code: number;
  readonly codeLength: number;
}

/** A training step of the deepest networks uses some 600 programs. */
const MAX_PROGRAMS = 2048;

export interface RuntimeOptions {
  readonly name: string;
  readonly memory: WebAssembly.Memory;
  readonly memoryType: MemoryType;
  readonly allocator: Allocator;
  readonly pool: Pool | undefined;
  readonly threads: number;
  readonly tile: Tile;
}

export const createRuntime = (options: RuntimeOptions): Runtime => {
  const { name, memory, memoryType, allocator, pool, threads, tile } = options;
  /** In the order of their last use. */
  const programs = new Map<string, Program>();
  const host = { memory, sin: Math.sin, cos: Math.cos };
  let scratch = { address: 0, bytes: 0 };
  let generation = 0;

  const alloc = (bytes: number): number => {
    const address = allocator.alloc(bytes);
    if (address === undefined)
      throw new OutOfMemoryError(
        name,
        bytes,
        `its memory has ${memory.buffer.byteLength} bytes, ${allocator.used()} of them in use, and cannot grow enough`,
      );
    return address;
  };

  /** The slot of the least recently used program, once there are many. */
  const vacate = (): number => {
    if (programs.size < MAX_PROGRAMS) return programs.size;
    const [key, oldest] = programs.entries().next().value as [string, Program];
    programs.delete(key);
    allocator.free(oldest.code);
    return oldest.slot;
  };

  const create = (key: string, build: () => FunctionDefinition): Program => {
    const definition = build();
    const bytes = assemble({ memory: memoryType, functions: [{ ...definition, name: "main" }] });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host });
    // First what may fail.
    const code = alloc(bytes.length);
    const slot = vacate();
    new Uint8Array(memory.buffer, code, bytes.length).set(bytes);
    generation = (generation + 1) | 0;
    const program = { main: exports.main as Main, slot, generation, code, codeLength: bytes.length };
    programs.set(key, program);
    return program;
  };

  const reserveScratch = (bytes: number): void => {
    if (bytes <= scratch.bytes) return;
    const size = Math.ceil(bytes / 4096) * 4096;
    const address = alloc(size * threads);
    if (scratch.bytes > 0) allocator.free(scratch.address);
    scratch = { address, bytes: size };
  };

  return {
    run: (key, build, tasks, args, scratchBytes = 0) => {
      if (args.length > MAX_ARGUMENTS) throw new RangeError(`${key}: ${args.length} arguments are too many`);
      let program = programs.get(key);
      if (program === undefined) program = create(key, build);
      else if (programs.size === MAX_PROGRAMS) {
        programs.delete(key);
        programs.set(key, program);
      }
      reserveScratch(scratchBytes);
      const { main } = program;
      const { address } = scratch;
      if (tasks === 1 || pool === undefined) {
        for (let task = 0; task < tasks; task++) main(task, address, ...args);
        return;
      }
      const perform = (task: number): void => main(task, address, ...args);
      try {
        for (let firstTask = 0; firstTask < tasks; firstTask += MAX_TASKS)
          pool.run({
            program,
            tasks: Math.min(MAX_TASKS, tasks - firstTask),
            firstTask,
            args,
            scratch: address,
            scratchBytes: scratch.bytes,
            perform,
          });
      } catch (error) {
        // A thread that was given up may still write to its scratch memory, which nobody else may have meanwhile.
        if (pool.zombies > 0 && scratch.bytes > 0) {
          allocator.free(scratch.address);
          scratch = { address: 0, bytes: 0 };
        }
        throw error;
      }
    },
    withTemporary: (bytes, use) => {
      const address = alloc(bytes);
      try {
        return use(address);
      } finally {
        allocator.free(address);
      }
    },
    alloc,
    free: allocator.free,
    tile,
    get buffer() {
      return memory.buffer;
    },
  };
};
