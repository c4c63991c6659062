/** The real peers on tiny problems: they agree, and one that is wrong is found out. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MeasureOptions, measure } from "./measure.js";
import { type NetworkName, networks } from "./networks.js";
import type { Outputs, Session } from "./peer.js";
import { peers } from "./peers.js";
import { batchOf, type ConvOp, flopOf, inputNamed, inputsOf, type Problem, probeOf } from "./problem.js";

const sessions = new Map<string, Session>();

beforeAll(async () => {
  for (const { name, open } of peers) sessions.set(name, await open());
});

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
  prepare: (problem, inputs) => {
    const task = session.prepare(problem, inputs);
    const outputs = async (): Promise<Outputs> => {
      const copy = new Map([...(await task.outputs())].map(([name, data]) => [name, Float32Array.from(data)]));
      change(copy);
      return copy;
    };
    return { ...task, outputs };
  },
});

/** The Node build of tfjs takes seconds for a step of the larger networks. */
const sessionsFor = (problem: Problem): Map<string, Session> => {
  const slow = problem.op === "train" && problem.network !== "lenet5-rgb" ? ["tfjs:cpu"] : [];
  return new Map([...sessions].filter(([name]) => !slow.includes(name)));
};

describe.each(Object.entries(problems))("%s", (name, problem) => {
  test("all peers agree", async () => {
    const { cells } = await measure({ name, problem }, sessionsFor(problem), options());
    expect(cells.length).toBeGreaterThanOrEqual(2);
    for (const { cell } of cells) expect(cell).toMatchObject({ status: "measured", batch: batchOf(problem) });
  });

  test("a probe is a part of it", () => {
    expect(flopOf(probeOf(problem))).toBeLessThanOrEqual(flopOf(problem));
  });
});

describe("a training step that is wrong in one place is found out", () => {
  const problem = problems["resnet20"] as Problem;
  const [first] = peers.map(({ name }) => name) as [string];

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
