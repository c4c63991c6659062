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
    { groups: ["The run:", "Recipe:"] },
  );

interface Row {
  readonly parameter: string;
  readonly shape: readonly number[];
  readonly checked: number;
  readonly worst: number | null;
  readonly problem?: string;
}

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
        if (signal.aborted) return "ok";
        reporter.progress({ phase: "checking", label: name, done: i, total: named.length });
        const before = parameter.detach();
        const fn = (given: Tensor): Tensor => {
          // The network reads its own handles: a moved value has to go in there.
          if (given !== parameter) parameter.assign(given);
          return value();
        };
        const row = await gradcheck(fn, [parameter], { maxElements: elements })
          .then(({ checked, worst }): Row => ({ parameter: name, shape: parameter.shape, checked, worst }))
          .catch((error: unknown): Row => {
            if (!(error instanceof GradientError)) throw error;
            return { parameter: name, shape: parameter.shape, checked: 0, worst: null, problem: error.message };
          })
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
