import {
  ARGUMENTS_OFFSET,
  CONTROL_BYTES,
  Control,
  MAX_ARGUMENTS,
  MAX_MESSAGE,
  MESSAGE_OFFSET,
  TASK_BITS,
} from "./protocol.js";
import { startWorker, type WorkerHandle } from "./start-worker.js";

/** A program as every thread can find it. */
export interface SharedProgram {
  readonly slot: number;
  readonly generation: number;
  /** Address and length of the binary module. */
  readonly code: number;
  readonly codeLength: number;
}

export interface Job {
  readonly program: SharedProgram;
  /** From `firstTask` on. */
  readonly tasks: number;
  readonly firstTask: number;
  readonly args: readonly number[];
  readonly scratch: number;
  readonly scratchBytes: number;
  /** Runs one task in the calling thread. */
  perform(task: number): void;
}

export interface Pool {
  /** Workers that run; the calling thread is one more. */
  readonly workers: number;
  /** Threads that were given up and may still write to the memory: nothing they know of may be reused meanwhile. */
  readonly zombies: number;
  /** Runs every task once, and returns when all are done. @throws what a task threw; Error when a worker ended in its task, or hangs */
  run(job: Job): void;
  dispose(): void;
}

const ROUND_MS = 50;
/**
 * Rounds of waiting without any task done before a worker is given up, 10 s. A task takes some milliseconds, but a
 * background process on a busy machine may get a hundredth of a core: it must not fail for that.
 */
const PATIENCE = 200;
/** Rounds without any task done when a worker is known to have ended: time for the others to end theirs, 0.5 s. */
const PATIENCE_WITH_THE_DEAD = 10;
/** Looks at the counter before the caller goes to sleep: some 100 µs, the length of a task. */
const SPINS = 20_000;
/** Workers that may be replaced one after another before the pool goes on with fewer. */
const MAX_REPLACEMENTS = 8;

/** Browsers forbid sleeping in a page's main thread. */
const mayWait = (control: Int32Array): boolean => {
  try {
    Atomics.wait(control, Control.Words - 1, 1, 0);
    return true;
  } catch {
    return false;
  }
};

export interface PoolOptions {
  readonly memory: WebAssembly.Memory;
  readonly workers: number;
  /** Called when the last zombie has ended. */
  onZombiesGone(): void;
  /** How a worker is started. Default: `startWorker`. */
  readonly startWorker?: typeof startWorker;
  /** Rounds of 50 ms without progress until a worker counts as hanging. Default 200. */
  readonly patience?: number;
}

/** What the calling thread and its workers share, besides the memory. */
interface Channel {
  readonly buffer: SharedArrayBuffer;
  readonly control: Int32Array;
  readonly args: Float64Array;
  readonly text: Uint16Array;
}

const openChannel = (): Channel => {
  const buffer = new SharedArrayBuffer(CONTROL_BYTES);
  return {
    buffer,
    control: new Int32Array(buffer, 0, Control.Words),
    args: new Float64Array(buffer, ARGUMENTS_OFFSET, MAX_ARGUMENTS),
    text: new Uint16Array(buffer, MESSAGE_OFFSET, MAX_MESSAGE),
  };
};

/** Ends workers that listen, wherever they are in their loop. */
const stop = ({ control }: Channel): void => {
  Atomics.store(control, Control.Stop, 1);
  Atomics.add(control, Control.Job, 1);
  Atomics.notify(control, Control.Job);
};

/** The number of a task that nobody else has, or -1 when there is none left. */
const claim = (control: Int32Array): number => {
  for (;;) {
    const ticket = Atomics.load(control, Control.Ticket);
    const left = ticket & (2 ** TASK_BITS - 1);
    if (left === 0) return -1;
    if (Atomics.compareExchange(control, Control.Ticket, ticket, ticket - 1) === ticket) return left - 1;
  }
};

/** @throws what starting a worker throws: then there are no threads to be had here. */
export const createPool = async ({
  memory,
  workers,
  onZombiesGone,
  startWorker: startOne = startWorker,
  patience = PATIENCE,
}: PoolOptions): Promise<Pool> => {
  let channel = openChannel();
  const handles = new Set<WorkerHandle>();
  const sleeps = mayWait(channel.control);
  let job = 0;
  let zombies = 0;
  let replacements = 0;
  let disposed = false;

  const start = (thread: number): WorkerHandle => {
    const handle = startOne({ memory, control: channel.buffer, thread });
    handles.add(handle);
    handle.ended.then(() => {
      // One that ended by itself: it ran out of memory, or was ended from outside.
      if (!handles.delete(handle) || disposed || replacements >= MAX_REPLACEMENTS) return;
      replacements++;
      start(thread);
    });
    return handle;
  };

  /** Gives up all workers, since nobody can tell which one hangs, and starts others on a channel of their own. */
  const replaceAll = (): void => {
    const old = [...handles];
    handles.clear();
    zombies += old.length;
    for (const handle of old) {
      handle.ended.then(() => {
        zombies--;
        if (zombies === 0) onZombiesGone();
      });
      handle.terminate();
    }
    stop(channel);
    channel = openChannel();
    job = 0;
    for (let thread = 1; thread <= workers; thread++) start(thread);
  };

  /** Waits until `tasks` are done; what became of a worker that never will. */
  const join = (control: Int32Array, tasks: number): "done" | "ended" | "hangs" => {
    let done = Atomics.load(control, Control.Done);
    for (let spin = 0; spin < SPINS && done < tasks; spin++) done = Atomics.load(control, Control.Done);
    // Rounds, not a deadline: a machine that slept, or a debugger, must not look like a worker that hangs.
    for (let round = 0; done < tasks && round < patience; round++) {
      if (sleeps) Atomics.wait(control, Control.Done, done, ROUND_MS);
      else
        for (
          const end = performance.now() + ROUND_MS;
          performance.now() < end && Atomics.load(control, Control.Done) === done;
        );
      const now = Atomics.load(control, Control.Done);
      if (now !== done) round = -1;
      done = now;
      if (done < tasks && round >= PATIENCE_WITH_THE_DEAD && [...handles].some((handle) => handle.isGone()))
        return "ended";
    }
    return done === tasks ? "done" : "hangs";
  };

  try {
    await Promise.all(Array.from({ length: workers }, (_, i) => start(i + 1).ready));
  } catch (error) {
    disposed = true;
    for (const handle of handles) handle.terminate();
    throw error;
  }

  return {
    get workers() {
      return handles.size;
    },
    get zombies() {
      return zombies;
    },
    run: ({ program, tasks, firstTask, args, scratch, scratchBytes, perform }) => {
      const { control, text } = channel;
      control[Control.Tasks] = tasks;
      control[Control.FirstTask] = firstTask;
      control[Control.Slot] = program.slot;
      control[Control.Generation] = program.generation;
      control[Control.Code] = program.code;
      control[Control.CodeLength] = program.codeLength;
      control[Control.Scratch] = scratch;
      control[Control.ScratchBytes] = scratchBytes;
      control[Control.Failed] = 0;
      control[Control.Done] = 0;
      for (let i = 0; i < args.length; i++) channel.args[i] = args[i] as number;
      job = (job + 1) | 0;
      Atomics.store(control, Control.Ticket, (job << TASK_BITS) | tasks);
      Atomics.store(control, Control.Job, job);
      if (Atomics.load(control, Control.Sleeping) > 0) Atomics.notify(control, Control.Job);

      let failure: { readonly error: unknown } | undefined;
      for (let task = claim(control); task >= 0; task = claim(control)) {
        try {
          if (!failure) perform(firstTask + task);
        } catch (error) {
          failure = { error };
        }
        Atomics.add(control, Control.Done, 1);
      }
      const outcome = join(control, tasks);
      if (outcome !== "done") {
        replaceAll();
        const what =
          outcome === "ended"
            ? "ended in the middle of a task"
            : `did not finish its task within ${(patience * ROUND_MS) / 1000} s`;
        throw new Error(`a worker thread ${what}; the threads were restarted`);
      }
      if (failure) throw failure.error;
      if (control[Control.Failed] === 1)
        throw new Error(
          `in a worker thread: ${String.fromCharCode(...text.subarray(0, control[Control.MessageLength]))}`,
        );
    },
    dispose: () => {
      if (disposed) return;
      disposed = true;
      stop(channel);
      for (const handle of handles) handle.terminate();
      handles.clear();
    },
  };
};
