import { Command, InvalidArgumentError } from "commander";
import type { Workload } from "./workloads.js";

export interface Options {
  /** In the order in which they are to run; the first is what the others are compared with. */
  readonly peers: readonly string[];
  /** Whether the user asked for these. */
  readonly peersNamed: boolean;
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  /** Seconds. */
  readonly maxTime: number;
  /** A file for the results, `-` for standard output. */
  readonly json: string | null;
  /** Count processor time of all threads instead of time on the clock. */
  readonly cpuTime: boolean;
  /** Only name peers and workloads. */
  readonly list: boolean;
}

/** Where help and complaints go. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

interface Flags {
  filter?: string[];
  peers?: string[];
  peer?: string[];
  rounds?: number;
  maxTime?: number;
  json?: string;
  quick?: true;
  cpuTime?: true;
  list?: true;
}

const defaults = { rounds: 5, maxTime: 30 } as const;
const quick = { rounds: 3, maxTime: 6 } as const;

const names = (value: string, before: readonly string[] = []): string[] => [
  ...before,
  ...value
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== ""),
];

export const count = (value: string): number => {
  const n = Number(value);
  if (!Number.isSafeInteger(n) || n < 1) throw new InvalidArgumentError("Expected a whole number, 1 or more.");
  return n;
};

export const duration = (value: string): number => {
  const n = Number(value);
  if (value.trim() === "" || !(n > 0) || n === Number.POSITIVE_INFINITY)
    throw new InvalidArgumentError("Expected seconds, more than 0.");
  return n;
};

const examples = `
Examples:
  npm run bench                                 the usual peers on all workloads, about five minutes
  npm run bench -- --quick                      less exact; leaves out what a peer takes too long for
  npm run bench -- --filter lenet,matmul        only workloads with these in their names
  npm run bench -- --peer torch                 PyTorch too
  npm run bench -- --peers striate:cpu          one peer, compared with none
  npm run bench -- --peers striate:wasm-2,torch,torch-1 --filter train
  npm run bench -- --peers striate:wasm-1,striate:wasm-1:4x12,striate:wasm-1:4x16 --filter "matmul 1024,3x3 @32 forward"
  npm run bench -- --json results.json          the table, and all samples in a file
  npm run bench -- --json - > results.json      the table on standard error

Peers:
  striate:NAME is a backend by its name in --backend, striate:wasm with a thread for every core; striate:wasm-1 and
  striate:wasm-2 have one and two threads; a tile may follow, as in striate:wasm-1:4x12. tfjs:wasm has one: its threads do not start in Node. jax-js is its wasm
  device, with one thread as in Node, jax-js-2 with two workers as in a page. torch is PyTorch on the CPU with a thread
  for every core, torch-1 and torch-2 with one and two: in a Python of its own, /usr/bin/python3 unless STRIATE_PYTHON
  names another (Debian has it as python3-torch), and timed in there, around the runs. --list names all.

What the table says:
  A run is one product, one convolution or one step of training. Peers take turns; a peer that is too slow for a
  batch gets a smaller one, and images a second are compared. Times are medians; the ratio is the median of the
  rounds' ratios, with the least and the greatest of them. GFLOP/s count two for a multiply-add, and a training step
  as three forward passes. "Of the peak" is GFLOP/s over threads x the peak, which is that of the micro-kernel of
  @striate/backend-wasm on one thread, out of the first-level cache; products that Winograd's way saves count as done.
  A peer is timed only if its results are those of the first: of an op, the output; of a
  training step, the loss, every updated parameter and the running statistics.

Exit codes:
  0  done; what a peer cannot do, or not in time, is in the table
  1  a peer disagrees with the first, failed, or does not run here though --peers names it
  2  a wrong option or value
  3  the results cannot be written`;

/**
 * The options in `args`.
 *
 * @throws CommanderError after it has written help (exitCode 0) or what is wrong (another one).
 */
export const parseOptions = (
  args: readonly string[],
  available: {
    readonly peers: readonly string[];
    /** Where none is named. */
    readonly defaultPeers: readonly string[];
    readonly workloads: readonly Workload[];
  },
  output: Output,
): Options => {
  const program = new Command()
    .name("npm run bench --")
    .usage("[options]")
    .description("Times Striate beside its peers, in one process, after checking that they agree.")
    .option("-f, --filter <texts>", "only workloads with one of these texts in their names, comma-separated", names)
    .option(
      "-p, --peers <names>",
      `which, the first is compared with the others (default: ${available.defaultPeers.join(",")})`,
      names,
    )
    .option("--peer <names>", "besides these or the usual ones, as torch where python3-torch is installed", names)
    .option("-r, --rounds <n>", `samples of each peer at most (default: ${defaults.rounds})`, count)
    .option(
      "-t, --max-time <seconds>",
      `for one peer on one workload, roughly (default: ${defaults.maxTime})`,
      duration,
    )
    .option("-j, --json <file>", "write all results there; - for standard output")
    .option("-q, --quick", `the same as --rounds ${quick.rounds} --max-time ${quick.maxTime}`)
    .option("-c, --cpu-time", "count processor time instead: for a busy machine, and peers with one thread")
    .option("-l, --list", "list peers and workloads, time nothing")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", examples)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => output.out(text), writeErr: (text) => output.err(text) });
  program.parse(args, { from: "user" });
  const flags = program.opts<Flags>();

  const { filter = [""] } = flags;
  const peers = [...(flags.peers ?? available.defaultPeers), ...(flags.peer ?? [])];
  for (const peer of peers)
    if (!available.peers.includes(peer))
      program.error(`error: there is no peer ${JSON.stringify(peer)}; there are ${available.peers.join(", ")}`);
  if (peers.length === 0) program.error("error: --peers names no peer");
  if (filter.length === 0) program.error("error: --filter has no text");
  const workloads = available.workloads.filter(({ name }) => filter.some((text) => name.includes(text)));
  if (workloads.length === 0)
    program.error(`error: no workload has ${filter.join(" or ")} in its name; --list names all of them`);
  const base = flags.quick ? quick : defaults;
  return {
    peers: [...new Set(peers)],
    peersNamed: flags.peers !== undefined || flags.peer !== undefined,
    workloads,
    rounds: flags.rounds ?? base.rounds,
    maxTime: flags.maxTime ?? base.maxTime,
    json: flags.json ?? null,
    cpuTime: flags.cpuTime ?? false,
    list: flags.list ?? false,
  };
};
