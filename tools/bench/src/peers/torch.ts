import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { availableParallelism, endianness } from "node:os";
import { fileURLToPath } from "node:url";
import { networks } from "../networks.js";
import type { Outputs, Peer, Session } from "../peer.js";
import { type Inputs, type Problem, training } from "../problem.js";

/** Debian's, which has python3-torch, unless another one is named. */
const python = (): string => process.env["STRIATE_PYTHON"] ?? "/usr/bin/python3";

/** From src/ and from dist/ alike. */
const program = fileURLToPath(new URL("../../src/peers/torch_peer.py", import.meta.url));

/** Looks without loading it: some 30 ms. */
export const torchIsHere = (): boolean => {
  const look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)";
  return spawnSync(python(), ["-c", look], { stdio: "ignore" }).status === 0;
};

/** A child's output as it is asked for. What is missing when it ends is an error. */
const createReader = (child: ChildProcess) => {
  let chunks: Buffer[] = [];
  let length = 0;
  let failure: Error | undefined;
  let complaints = "";
  let wake = (): void => {};
  const fail = (error: Error): void => {
    failure ??= error;
    wake();
  };
  child.stdout?.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    wake();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    complaints = `${complaints}${chunk}`.slice(-2000);
  });
  child.stdin?.on("error", () => {}); // its end says more
  child.on("error", fail);
  child.on("close", (code, signal) => {
    const lastLine = complaints.trim().split("\n").at(-1) ?? "";
    fail(new Error(`Python ended (${signal ?? `exit code ${code}`})${lastLine === "" ? "" : `: ${lastLine}`}`));
  });
  const more = async (): Promise<void> => {
    if (failure) throw failure;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  };
  const take = (count: number): Buffer => {
    const all = Buffer.concat(chunks);
    chunks = [all.subarray(count)];
    length -= count;
    return all.subarray(0, count);
  };
  return {
    bytes: async (count: number): Promise<Buffer> => {
      while (length < count) await more();
      return take(count);
    },
    /** Without its end. */
    line: async (): Promise<string> => {
      for (let searched = 0, passed = 0; ; ) {
        for (; searched < chunks.length; searched++) {
          const chunk = chunks[searched] as Buffer;
          const end = chunk.indexOf(10);
          if (end >= 0) return take(passed + end + 1).toString("utf8", 0, passed + end);
          passed += chunk.length;
        }
        await more();
      }
    },
  };
};

interface Answer {
  readonly error?: string;
  readonly version?: string;
  readonly threads?: number;
  readonly blas?: string;
  readonly wall?: number;
  readonly cpu?: number;
  readonly outputs?: readonly (readonly [name: string, count: number])[];
}

/** What torch_peer.py is to know of a problem, networks as data. */
const described = (problem: Problem, { labels }: Inputs): object =>
  problem.op === "train"
    ? { ...problem, ...training, layers: networks[problem.network].layers(problem.image), labels: [...labels] }
    : problem;

/** Debian's name for the reference implementation, which it installs with PyTorch where there is no other. */
const referenceBlas = /\/blas\/libblas\.so[.\d]*$/;

/** Where PyTorch gets its matrix products and linear layers from; the convolutions are oneDNN's. */
const noteOn = (blas: string): { note?: string } => {
  if (blas === "") return {};
  const slow = "the reference one, without SIMD: its products and linear layers are slow (Debian has libopenblas0)";
  return { note: `BLAS ${blas}${referenceBlas.test(blas) ? `, ${slow}` : ""}` };
};

const open = async (threads: number): Promise<Session> => {
  if (endianness() !== "LE") throw new Error("the protocol of torch_peer.py is for little-endian machines");
  if (!torchIsHere())
    throw new Error(`no PyTorch for ${python()} (Debian has python3-torch; STRIATE_PYTHON names another Python)`);
  // PyTorch sets its own threads and OpenMP's, but not those of a BLAS that has its own.
  const env = { ...process.env, OMP_NUM_THREADS: `${threads}`, OPENBLAS_NUM_THREADS: `${threads}` };
  const child = spawn(python(), [program, `${threads}`], { stdio: "pipe", env });
  const reader = createReader(child);
  const answer = async (): Promise<Answer> => {
    const found = JSON.parse(await reader.line()) as Answer;
    if (found.error !== undefined) throw new Error(found.error);
    return found;
  };
  let last: Promise<unknown> = Promise.resolve();
  /** Requests are answered one after another. */
  const request = <T>(
    header: object,
    payload: readonly Float32Array[],
    read: (found: Answer) => T | Promise<T>,
  ): Promise<T> => {
    const result = last.then(async () => {
      child.stdin.write(`${JSON.stringify(header)}\n`);
      for (const { buffer, byteOffset, byteLength } of payload)
        child.stdin.write(new Uint8Array(buffer, byteOffset, byteLength));
      return read(await answer());
    });
    last = result.catch(() => {});
    return result;
  };

  const started = await answer();
  const elapsed = { wall: 0, cpu: 0 };
  let tasks = 0;
  return {
    version: started.version as string,
    threads: started.threads as number,
    wasm: false,
    ...noteOn(started.blas ?? ""),
    clocks: { wall: () => elapsed.wall, cpu: () => elapsed.cpu },
    prepare: async (problem, inputs) => {
      const task = tasks++;
      const tensors = [...inputs.tensors].map(([name, { shape }]) => [name, shape]);
      const data = [...inputs.tensors.values()].map((tensor) => tensor.data);
      await request({ command: "prepare", task, problem: described(problem, inputs), tensors }, data, () => {});
      return {
        run: () =>
          request({ command: "run", task }, [], ({ wall = 0, cpu = 0 }) => {
            elapsed.wall += wall;
            elapsed.cpu += cpu;
          }),
        outputs: () =>
          request({ command: "outputs", task }, [], async ({ outputs = [] }): Promise<Outputs> => {
            const values = new Map<string, Float32Array>();
            for (const [name, count] of outputs)
              values.set(name, new Float32Array(Uint8Array.from(await reader.bytes(4 * count)).buffer));
            return values;
          }),
        // Should the process be gone, its tasks are gone too.
        dispose: () => void request({ command: "dispose", task }, [], () => {}).catch(() => {}),
      };
    },
    close: () => void child.stdin.end(),
  };
};

/** PyTorch on the CPU, in a process of its own, with so many threads or one a core. Times are taken in there, around the runs. */
export const torchPeer = (name: string, threads?: number): Peer => ({
  name,
  open: () => open(threads ?? availableParallelism()),
});
