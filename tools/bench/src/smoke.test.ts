/** The real peers on tiny problems: they agree, and one that is wrong is found out. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MeasureOptions, measure } from "./measure.js";
import { type NetworkName, networks } from "./networks.js";
import type { Outputs, Session } from "./peer.js";
import { torchIsHere } from "./peers/torch.js";
import { peers } from "./peers.js";
import { batchOf, type ConvOp, flopOf, inputNamed, inputsOf, type Problem, probeOf } from "./problem.js";

const sessions = new Map<string, Session>();

/** Those that need nothing but what npm installs; the first is what the others are checked against. */
const everywhere = [
  "striate:cpu",
  ...["striate:wasm-1", "striate:wasm-2"],
  ...["tfjs:cpu", "tfjs:cpu-modules", "tfjs:wasm"],
  ...["jax-js", "jax-js-2"],
];
const withTorch = torchIsHere();

const openPeer = async (name: string): Promise<Session> => {
  const peer = peers.find((candidate) => candidate.name === name);
  if (!peer) throw new Error(`there is no peer ${name}`);
  return peer.open();
};

beforeAll(async () => {
  for (const name of [...everywhere, ...(withTorch ? ["torch-2"] : [])]) sessions.set(name, await openPeer(name));
}, 60_000);

afterAll(() => {
  for (const session of sessions.values()) session.close();
});

const convolution = { batch: 2, in: 3, out: 4, image: 5, kernel: 3, padding: 1 } as const;
const convOps: readonly ConvOp[] = ["conv2d", "conv2dGradInput", "conv2dGradWeight"];
const networkNames = Object.keys(networks) as NetworkName[];

const problems: Readonly<Record<string, Problem>> = {
  matmul: { op: "matmul", size: 9 },
  ...Object.fromEntries(convOps.map((op) => [op, { op, ...convolution }])),
  ...Object.fromEntries(
    networkNames.map((network) => {
      const image = networks[network].smallestImage;
      return [network, { op: "train", network, batch: 1, image }];
    }),
  ),
};

/** A clock on which every run takes a second, however fast this machine is. */
const options = (): MeasureOptions => {
  let time = 0;
  return { rounds: 1, maxTime: 120, now: () => time++, onStage: () => {}, onProbe: () => {} };
};

/** Changes the outputs of a session. */
const falsified = (session: Session, change: (outputs: Map<string, Float32Array>) => void): Session => ({
  ...session,
  prepare: async (problem, inputs) => {
    const task = await session.prepare(problem, inputs);
    const outputs = async (): Promise<Outputs> => {
      const copy = new Map([...(await task.outputs())].map(([name, data]) => [name, Float32Array.from(data)]));
      change(copy);
      return copy;
    };
    return { ...task, outputs };
  },
});

/** Peers that take seconds for a step of the larger networks. */
const tooSlow: Partial<Record<NetworkName, readonly string[]>> = {
  "speed-net": ["tfjs:cpu", "jax-js", "jax-js-2"],
  resnet20: ["tfjs:cpu", "jax-js", "jax-js-2"],
  "vgg-s": ["tfjs:cpu", "tfjs:cpu-modules", "jax-js", "jax-js-2"],
};

const sessionsFor = (problem: Problem): Map<string, Session> => {
  const left = problem.op === "train" ? (tooSlow[problem.network] ?? []) : [];
  return new Map([...sessions].filter(([name]) => !left.includes(name)));
};

/** tfjs has no gradient of a filter in wasm. */
const statusOf = (peer: string, { op }: Problem): string =>
  peer === "tfjs:wasm" && (op === "train" || op === "conv2dGradWeight") ? "unsupported" : "measured";

describe.each(Object.entries(problems))("%s", (name, problem) => {
  test("all peers agree", async () => {
    const { cells } = await measure({ name, problem }, sessionsFor(problem), options());
    expect(cells.length).toBeGreaterThanOrEqual(everywhere.length - 4);
    for (const { peer, cell } of cells)
      expect({ peer, ...cell }).toMatchObject({ peer, status: statusOf(peer, problem) });
    for (const { cell } of cells) if (cell.status === "measured") expect(cell.batch).toBe(batchOf(problem));
  });

  test("a probe is a part of it", () => {
    expect(flopOf(probeOf(problem))).toBeLessThanOrEqual(flopOf(problem));
  });
});

test("threads are as the names say", () => {
  const threads = Object.fromEntries([...sessions].map(([name, session]) => [name, session.threads]));
  expect(threads).toMatchObject({
    ...{ "striate:cpu": 1, "striate:wasm-1": 1, "striate:wasm-2": 2, "tfjs:wasm": 1, "jax-js": 1, "jax-js-2": 2 },
  });
});

/** Skipped, and named so in the run, where there is no PyTorch. */
describe.skipIf(!withTorch)("PyTorch in a process of its own (skipped without python3-torch)", () => {
  const problem = problems["matmul"] as Problem;
  const torch = (): Session => sessions.get("torch-2") as Session;

  test("runs with the threads that were asked for, and is timed by its own clock", async () => {
    const { threads, clocks } = torch();
    expect(threads).toBe(2);
    const before = clocks?.wall() as number;
    const task = await torch().prepare(problem, inputsOf(problem));
    expect(clocks?.wall()).toBe(before);
    await task.run();
    expect(clocks?.wall()).toBeGreaterThan(before);
    task.dispose();
  });

  test("an exception in there is an error here, and the next request is answered", async () => {
    const inputs = inputsOf(problem);
    const tensors = new Map([["a", inputNamed(inputs, "a")]]);
    const task = await torch().prepare(problem, { ...inputs, tensors });
    await expect(async () => task.run()).rejects.toThrow("KeyError: 'b'");
    task.dispose();
    const whole = await torch().prepare(problem, inputs);
    await whole.run();
    expect((await whole.outputs()).get("y")).toHaveLength(81);
    whole.dispose();
  });
});

test("without PyTorch, it says how to have it", async () => {
  const before = process.env["STRIATE_PYTHON"];
  process.env["STRIATE_PYTHON"] = "/nowhere/python3";
  try {
    await expect(openPeer("torch")).rejects.toThrow("no PyTorch for /nowhere/python3 (Debian has python3-torch");
  } finally {
    if (before === undefined) delete process.env["STRIATE_PYTHON"];
    else process.env["STRIATE_PYTHON"] = before;
  }
});

describe("a training step that is wrong in one place is found out", () => {
  const problem = problems["resnet20"] as Problem;
  const [first] = everywhere as [string];

  test.each<{ name: string; change: (outputs: Map<string, Float32Array>) => void }>([
    { name: "loss", change: (outputs) => outputs.set("loss", Float32Array.of(1)) },
    {
      name: "6.shortcut.0.weight",
      change: (outputs) => {
        const before = inputNamed(inputsOf(problem), "6.shortcut.0.weight").data;
        const updated = outputs.get("6.shortcut.0.weight") as Float32Array;
        outputs.set(
          "6.shortcut.0.weight",
          updated.map((w, i) => w + 0.05 * (w - (before[i] as number))),
        );
      },
    },
    { name: "1.running_var", change: (outputs) => outputs.get("1.running_var")?.fill(1) },
    { name: "13.bias", change: (outputs) => outputs.delete("13.bias") },
  ])("$name", async ({ name, change }) => {
    const honest = sessions.get(first) as Session;
    const pair = new Map([
      ["honest", honest],
      ["wrong", falsified(honest, change)],
    ]);
    const { cells } = await measure({ name: "resnet20", problem }, pair, options());
    expect(cells[1]).toMatchObject({ cell: { status: "disagrees", agreement: { output: name } } });
  });
});
