/** The benchmark's program: see `npm run bench -- --help`. */
import { appendFileSync, writeFileSync } from "node:fs";
import { CommanderError } from "commander";
import { machineInfo } from "./machine.js";
import { expectedSeconds, measure, type WorkloadResult } from "./measure.js";
import { type Options, parseOptions } from "./options.js";
import { createPeak, type Peak } from "./peak.js";
import type { Session } from "./peer.js";
import { defaultPeers, peers } from "./peers.js";
import { createProgress, type Progress } from "./progress.js";
import { createTable, isClean, toJson } from "./report.js";
import { workloads } from "./workloads.js";

const exitCodes = { done: 0, unsound: 1, usage: 2, output: 3 } as const;

const out = (text: string): void => {
  process.stdout.write(text);
};
const err = (text: string): void => {
  process.stderr.write(text);
};
/** Both in seconds. */
const clockTime = (): number => performance.now() / 1000;
const cpuTime = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const list = (options: Options): void => {
  const named = options.peersNamed ? options.peers : peers.map(({ name }) => name);
  out(`peers:\n${named.map((name) => `  ${name}\n`).join("")}`);
  out(`workloads:\n${options.workloads.map(({ name }) => `  ${name}\n`).join("")}`);
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Those that run on this machine; what keeps another from it is said. */
const openSessions = async (names: readonly string[]): Promise<Map<string, Session>> => {
  const sessions = new Map<string, Session>();
  for (const { name, open } of names.flatMap((name) => peers.filter((peer) => peer.name === name))) {
    try {
      sessions.set(name, await open());
    } catch (error) {
      err(`${name} does not run here: ${messageOf(error)}\n`);
    }
  }
  return sessions;
};

const runAll = async (
  { workloads, rounds, maxTime, cpuTime: onCpu }: Options,
  sessions: ReadonlyMap<string, Session>,
  peak: Peak | undefined,
  progress: Progress,
  rows: (result: WorkloadResult) => string,
): Promise<WorkloadResult[]> => {
  const results: WorkloadResult[] = [];
  /** Seconds for one operation, as of the last workload. */
  const speeds = new Map<string, number>();
  const budget = { rounds, maxTime };
  const here = onCpu ? cpuTime : clockTime;
  const now = ({ clocks }: Session): number => (clocks ? clocks[onCpu ? "cpu" : "wall"]() : here());
  for (const [i, workload] of workloads.entries()) {
    const started = here();
    const left = (): number => {
      const expected = workloads.slice(i).map(({ problem }) => {
        const times = [...sessions.keys()].map((peer) => expectedSeconds(problem, speeds.get(peer) ?? 0, budget));
        return times.reduce((a, b) => a + b, 0);
      });
      const [current = 0, ...others] = expected;
      return Math.max(0, current - (here() - started)) + others.reduce((a, b) => a + b, 0);
    };
    const result = await measure(workload, sessions, {
      ...budget,
      now,
      cpuTime: onCpu,
      ...(peak ? { peak } : {}),
      onStage: (peer, stage) => progress.show(`${workload.name}, ${peer}: ${stage}`, left()),
      onProbe: (peer, secondsPerFlop) => speeds.set(peer, secondsPerFlop),
    });
    results.push(result);
    progress.print(rows(result));
  }
  return results;
};

/** Runs `write`, and says so if it fails. */
const tryToWrite = (file: string, write: () => void): boolean => {
  try {
    write();
    return true;
  } catch (error) {
    err(`cannot write the results to ${file}: ${messageOf(error)}\n`);
    return false;
  }
};

const bench = async (options: Options): Promise<number> => {
  const { json } = options;
  // Better to know before the minutes that follow.
  if (json !== null && json !== "-" && !tryToWrite(json, () => appendFileSync(json, ""))) return exitCodes.output;
  const print = json === "-" ? err : out;
  const date = new Date();
  const machine = machineInfo();
  const sessions = await openSessions(options.peers);
  if (sessions.size === 0) return exitCodes.unsound;
  const infos = [...sessions].map(([name, { version, threads, note = null }]) => ({ name, version, threads, note }));
  const bounded = [...sessions.values()].some(({ wasm }) => wasm);
  const peak = bounded ? createPeak(options.cpuTime ? cpuTime : clockTime) : undefined;
  const peakNow = peak?.() ?? null;

  const { cpu, cores, load, node, v8 } = machine;
  print(`${cpu}, ${cores} cores, load ${load.toFixed(2)}; Node ${node}, V8 ${v8}\n`);
  print(`${infos.map(({ name, version }) => `${name} ${version}`).join(", ")}; ${date.toISOString()}\n`);
  for (const [name, { note }] of sessions) if (note !== undefined) print(`${name}: ${note}\n`);
  if (peakNow !== null)
    print(
      `peak of 128-bit SIMD in wasm, one thread: ${(peakNow / 1e9).toFixed(1)} GFLOP/s now; taken anew in every round\n`,
    );
  print("\n");
  const table = createTable({ workloads: options.workloads, peers: [...sessions.keys()] });
  print(`${table.header}\n`);
  const progress = createProgress((line) => print(`${line}\n`), clockTime);
  let results: WorkloadResult[];
  try {
    results = await runAll(options, sessions, peak, progress, table.rows);
  } finally {
    progress.stop();
    for (const session of sessions.values()) session.close();
  }
  if (json !== null) {
    const report = toJson({ date, machine, options, peers: infos, peak: peakNow }, results);
    if (!tryToWrite(json, () => (json === "-" ? out(report) : writeFileSync(json, report)))) return exitCodes.output;
  }
  const complete = sessions.size === options.peers.length || !options.peersNamed;
  return complete && isClean(results) ? exitCodes.done : exitCodes.unsound;
};

const main = async (): Promise<number> => {
  let options: Options;
  try {
    const available = { peers: peers.map(({ name }) => name), defaultPeers: defaultPeers(), workloads };
    options = parseOptions(process.argv.slice(2), available, { out, err });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  }
  if (!options.list) return bench(options);
  list(options);
  return exitCodes.done;
};

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCodes.done); // the reader, like head, has seen enough
});
process.exitCode = await main();
