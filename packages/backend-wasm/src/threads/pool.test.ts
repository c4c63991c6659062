import { afterEach, describe, expect, test } from "vitest";
import { type I32, i32 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { tiles } from "../kernels/tile.js";
import { createAllocator, GRAIN } from "../memory/allocator.js";
import { createRuntime, type Runtime } from "../runtime.js";
import { createPool, type Pool } from "./pool.js";
import { MAX_TASKS } from "./protocol.js";
import { startWorker, type WorkerHandle } from "./start-worker.js";

const THREADS = 3;
const pools: Pool[] = [];

afterEach(() => {
  for (const pool of pools.splice(0)) pool.dispose();
});

interface Engine {
  readonly runtime: Runtime;
  readonly pool: Pool;
  readonly handles: readonly WorkerHandle[];
  /** Resolves when the last zombie has ended. */
  readonly zombiesGone: Promise<void>;
}

const createEngine = async (patience = 20): Promise<Engine> => {
  const memoryType = { initial: 16, maximum: 256, shared: true };
  const memory = new WebAssembly.Memory(memoryType);
  const handles: WorkerHandle[] = [];
  let markGone: () => void;
  const zombiesGone = new Promise<void>((resolve) => {
    markGone = resolve;
  });
  const pool = await createPool({
    memory,
    workers: THREADS - 1,
    onZombiesGone: () => markGone(),
    patience,
    startWorker: (data) => {
      const handle = startWorker(data);
      handles.push(handle);
      return handle;
    },
  });
  pools.push(pool);
  const allocator = createAllocator({ size: () => memory.buffer.byteLength, grow: () => false }, GRAIN);
  return {
    runtime: createRuntime({ name: "wasm", memory, memoryType, allocator, pool, threads: THREADS, tile: tiles["4x8"] }),
    pool,
    handles,
    zombiesGone,
  };
};

/** (task, scratch, results, mainScratch): some work, then `body`. */
const program = (
  body: (b: FunctionBody, task: I32, scratch: I32, results: Local<"i32">, mainScratch: I32) => void,
): FunctionDefinition =>
  defineFunction({
    name: "test",
    params: ["i32", "i32", "i32", "i32"],
    build: (b, task, scratch, results, mainScratch) => {
      const sink = b.let(i32.const(1));
      b.for(0, 200_000, 1, (i) => b.set(sink, i32.add(i32.mul(sink, 48271), i)));
      // What was computed is stored, so that no engine leaves it out.
      b.do(i32.store(i32.add(scratch, 4), sink));
      body(b, task, scratch, results, mainScratch);
    },
  });

const SCRATCH = 64;

/** Every task's number plus one, and which threads there were, by their scratch addresses. */
const count = ({ runtime }: Engine, tasks: number): { results: Int32Array; scratches: Set<number> } => {
  const numbers = runtime.alloc(tasks * 4);
  const places = runtime.alloc(tasks * 4);
  runtime.run(
    "count",
    () =>
      program((b, task, scratch, results, second) => {
        b.do(i32.store(i32.add(results, i32.mul(task, 4)), i32.add(task, 1)));
        b.do(i32.store(i32.add(second, i32.mul(task, 4)), scratch));
      }),
    tasks,
    [numbers, places],
    SCRATCH,
  );
  const results = new Int32Array(runtime.buffer, numbers, tasks).slice();
  const scratches = new Set(new Int32Array(runtime.buffer, places, tasks));
  runtime.free(numbers);
  runtime.free(places);
  return { results, scratches };
};

const expectWorks = (engine: Engine): void => {
  expect(Array.from(count(engine, 50).results)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
};

/** The address of the calling thread's scratch memory: the lowest. */
const mainScratchOf = (engine: Engine): number => Math.min(...count(engine, 200).scratches);

test("every task runs once, on several threads", async () => {
  const engine = await createEngine();
  const { results, scratches } = count(engine, 300);
  expect(Array.from(results)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  expect(scratches.size).toBeGreaterThan(1);
  expect(scratches.size).toBeLessThanOrEqual(THREADS);
});

test("more tasks than a job may have become several jobs", async () => {
  const { runtime } = await createEngine();
  const tasks = 2 * MAX_TASKS + 3;
  const results = runtime.alloc(tasks * 4);
  const build = (): FunctionDefinition =>
    defineFunction({
      name: "test",
      params: ["i32", "i32", "i32"],
      build: (b, task, _scratch, out) => b.do(i32.store(i32.add(out, i32.mul(task, 4)), i32.add(task, 1))),
    });
  runtime.run("number", build, tasks, [results]);
  const numbers = new Int32Array(runtime.buffer, results, tasks);
  expect(numbers.every((n, i) => n === i + 1)).toBe(true);
});

describe("a task that traps", () => {
  const trap = (b: FunctionBody): void => b.do(i32.store(-4, i32.const(1)));

  test("in a worker is an error in the caller, and the threads go on", async () => {
    const engine = await createEngine();
    const own = mainScratchOf(engine);
    const failing = (): void =>
      engine.runtime.run(
        "trap",
        () => program((b, _task, scratch, _results, mine) => b.if(i32.ne(scratch, mine), () => trap(b))),
        100,
        [0, own],
        SCRATCH,
      );
    expect(failing).toThrow(/in a worker thread: RuntimeError: memory access out of bounds/);
    expectWorks(engine);
    expect(engine.pool.zombies).toBe(0);
  });

  test("in the calling thread is that error, after the other threads are done", async () => {
    const engine = await createEngine();
    const own = mainScratchOf(engine);
    const failing = (): void =>
      engine.runtime.run(
        "trap here",
        () => program((b, _task, scratch, _results, mine) => b.if(i32.eq(scratch, mine), () => trap(b))),
        100,
        [0, own],
        SCRATCH,
      );
    expect(failing).toThrow(WebAssembly.RuntimeError);
    expectWorks(engine);
  });
});

/** A job whose tasks never end in a worker. */
const hanging = (engine: Engine): (() => void) => {
  const own = mainScratchOf(engine);
  return () =>
    engine.runtime.run(
      "hang",
      () =>
        program((b, _task, scratch, _results, mine) =>
          b.if(i32.ne(scratch, mine), () => b.forever((leave) => leave(i32.eq(i32.load(scratch), 12345)))),
        ),
      100,
      [0, own],
      SCRATCH,
    );
};

test("a worker that hangs is an error, others take its place, and it is known until it has ended", async () => {
  const engine = await createEngine();
  const hang = hanging(engine);
  expect(hang).toThrow(/a worker thread did not finish its task within 1 s; the threads were restarted/);
  expect(engine.pool.zombies).toBe(THREADS - 1);
  expectWorks(engine);
  await engine.zombiesGone;
  expect(engine.pool.zombies).toBe(0);
  expect(engine.pool.workers).toBe(THREADS - 1);
  await Promise.all(engine.handles.slice(-2).map(({ ready }) => ready));
  expectWorks(engine);
});

test("a worker that ends in the middle of a task is an error long before a hanging one would be", async () => {
  const engine = await createEngine(200);
  const hang = hanging(engine);
  const [first] = engine.handles;
  expect(first?.isGone()).toBe(false);
  // What is asked for here comes to pass while the calling thread waits for the worker's task.
  first?.terminate();
  expect(hang).toThrow(/a worker thread ended in the middle of a task; the threads were restarted/);
  expectWorks(engine);
  await engine.zombiesGone;
  expect(first?.isGone()).toBe(true);
  expect(engine.pool.workers).toBe(THREADS - 1);
  expectWorks(engine);
});

test("a worker that is ended from outside is replaced", async () => {
  const engine = await createEngine();
  const [first] = engine.handles;
  first?.terminate();
  // Nobody knows yet: the caller and the other worker do its share.
  expectWorks(engine);
  await first?.ended;
  expect(engine.handles.length).toBe(THREADS);
  await engine.handles.at(-1)?.ready;
  expect(engine.pool.workers).toBe(THREADS - 1);
  expectWorks(engine);
});

test("a pool whose workers do not start throws what they threw", async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const failing = (): WorkerHandle => ({
    ready: Promise.reject(new Error("no workers here")),
    ended: new Promise(() => {}),
    isGone: () => false,
    terminate: () => {},
  });
  await expect(createPool({ memory, workers: 2, onZombiesGone: () => {}, startWorker: failing })).rejects.toThrow(
    "no workers here",
  );
});

test("after dispose, the workers end", async () => {
  const { pool, handles } = await createEngine();
  pool.dispose();
  pool.dispose();
  await Promise.all(handles.map(({ ended }) => ended));
  expect(pool.workers).toBe(0);
});
