import { setImmediate } from "node:timers/promises";
import { createBackend } from "@striate/backends";
import { add, GradientError, gradcheck, scope, type Tensor, tensor } from "@striate/core";
import { normalize, syntheticDataset } from "@striate/data";
import { type CommonOptions, createCommand, parseWith, readCount } from "../cli.js";
import type { Config } from "../config/schema.js";
import { assemble } from "../training/assemble.js";
import type { CommandDefinition } from "./command.js";
import { configHelp, configOf, withConfigOptions } from "./config-options.js";

export interface GradcheckCommandOptions extends CommonOptions {
  readonly config: Config;
  readonly images: number;
  readonly elements: number;
}

const command = () =>
  withConfigOptions(
    createCommand({
      name: "gradcheck",
      summary:
        "Compare the gradient of a network's loss with finite differences, in float64 on the CPU: the worst error of each parameter.",
      examples: [
        "npm run cifar10 -- gradcheck --preset fast70",
        "npm run cifar10 -- gradcheck --network lenet5 --elements 50",
      ],
      details: () =>
        `An error of 1 is as much as is allowed: |analytic - numeric| = 1e-5 + 1e-3·|numeric|.\n\n${configHelp()}`,
    })
      .option("--images <n>", "generated images that the loss is taken over", readCount(1, 64), 2)
      .option("--elements <n>", "of each parameter, spread evenly", readCount(1), 8),
    {
      groups: ["The run:", "Recipe:"],
      without: [
        ...["--backend", "--epochs", "--max-time", "--batch-size", "--accumulate", "--optimizer", "--lr", "--momentum"],
        ...["--weight-decay", "--schedule", "--l1", "--clip-norm", "--clip-value", "--ema"],
      ],
    },
  );

interface Row {
  readonly parameter: string;
  readonly shape: readonly number[];
  readonly checked: number;
  readonly worst: number | null;
  readonly problem?: string;
}

const distances = [1e-6, 1e-7, 1e-8] as const;

/**
 * Of what `fn` makes of the parameter. A kink of a ReLU or of a pooling between the two points of a difference spoils it,
 * and a deep net has many: the closer the points, the rarer. A gradient that is wrong is so at any distance.
 */
export const checkCloser = async (
  fn: (given: Tensor) => Tensor,
  parameter: Tensor,
  maxElements: number,
): Promise<Pick<Row, "checked" | "worst" | "problem">> => {
  let problem = "";
  for (const eps of distances)
    try {
      return await gradcheck(fn, [parameter], { maxElements, eps });
    } catch (error) {
      if (!(error instanceof GradientError)) throw error;
      problem = error.message;
    }
  return { checked: 0, worst: null, problem };
};

export const gradcheckCommand: CommandDefinition<GradcheckCommandOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options) => {
      const config = configOf(options, given.env);
      return { ...options, config } as unknown as GradcheckCommandOptions;
    }),
  run: async ({ config, images: count, elements }, { reporter, signal }) => {
    const { backend } = await createBackend("cpu");
    const dataset = syntheticDataset({ count, seed: config.seed });
    const { net, loss, dispose } = assemble(
      config,
      { steps: 1, training: dataset },
      { backend, seed: config.seed, dtype: "float64" },
    );
    try {
      const shape = [count, dataset.channels, dataset.height, dataset.width];
      const values = Float64Array.from(normalize(dataset, dataset));
      const x = tensor(values, { backend, shape, dtype: "float64" });
      const labels = tensor(Int32Array.from(dataset.labels), { backend, shape: [count] });
      const counters = net.counters();
      /** Of the same dropout masks every time. */
      const value = (): Tensor =>
        scope(() => {
          net.loadCounters(counters);
          const output = net.forward(x);
          if ("shape" in output) return loss(output, labels);
          const auxiliary = output.auxiliary.map((logits) => loss(logits, labels).mul(config.loss.auxiliaryWeight));
          return auxiliary.reduce((sum, term) => add(sum, term), loss(output.logits, labels));
        });
      net.train();

      const rows: Row[] = [];
      const named = [...net.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
      for (const [i, [name, parameter]] of named.entries()) {
        // The CPU backend's promises never leave the microtasks: without this no message comes in, a Ctrl-C neither.
        await setImmediate();
        if (signal.aborted) {
          reporter.event({ event: "interrupted" }, () => "stopped");
          return "ok";
        }
        reporter.progress({ phase: "checking", label: name, done: i, total: named.length });
        const before = parameter.detach();
        const fn = (given: Tensor): Tensor => {
          // The network reads its own handles: a moved value has to go in there.
          if (given !== parameter) parameter.assign(given);
          return value();
        };
        const row = await checkCloser(fn, parameter, elements)
          .then((report): Row => ({ parameter: name, shape: parameter.shape, ...report }))
          .finally(() => {
            parameter.assign(before);
            before.dispose();
          });
        rows.push(row);
        reporter.event({ event: "gradcheck", ...row }, ({ dim }) =>
          row.worst === null
            ? `WRONG  ${name}: ${row.problem}`
            : `${row.worst.toExponential(1)}  ${name} ${dim(`[${row.shape.join(", ")}], ${row.checked} elements`)}`,
        );
      }
      const failed = rows.filter(({ worst }) => worst === null).length;
      const worst = Math.max(0, ...rows.map((row) => row.worst ?? 0));
      reporter.event(
        { event: "end", network: config.network.name, parameters: rows.length, failed, worst },
        ({ bold }) =>
          failed > 0
            ? bold(`the gradients of ${failed} of ${rows.length} parameters are wrong`)
            : bold(`all ${rows.length} parameters agree with finite differences`),
      );
      return failed > 0 ? "check" : "ok";
    } finally {
      dispose();
      backend.dispose();
    }
  },
};
