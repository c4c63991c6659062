import { replaceFile } from "@striate/checkpoint/node";
import { batches } from "@striate/data";
import { lrFind } from "@striate/train";
import { html } from "hono/html";
import { openBackend } from "../backend.js";
import { type CommonOptions, createCommand, parseWith, readCount, readPath } from "../cli.js";
import { readNumber } from "../config/flags.js";
import { ConfigError } from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import { chart } from "../report/chart.js";
import { singlePage } from "../report/page.js";
import { textPlot } from "../text-plot.js";
import { assemble } from "../training/assemble.js";
import { loadTrainingData } from "../training/data.js";
import { decimal } from "../ui/page/format.js";
import type { CommandDefinition } from "./command.js";
import { configHelp, configOf, withConfigOptions } from "./config-options.js";
import { unlessStopped } from "./unless-stopped.js";

export interface LrFindOptions extends CommonOptions {
  readonly config: Config;
  readonly from: number;
  readonly to: number;
  readonly steps: number;
  readonly html: string | undefined;
}

const command = () =>
  withConfigOptions(
    createCommand({
      name: "lr-find",
      summary:
        "Train with a learning rate that grows from step to step, and say at which the loss falls fastest (L. Smith, 2015).",
      examples: [
        "npm run cifar10 -- lr-find --preset resnet20",
        "npm run cifar10 -- lr-find --steps 200 --html lr.html",
      ],
      details: () => `Rates are in the preset's units: what it suggests can be given to --lr.\n\n${configHelp()}`,
    })
      .option("--from <rate>", "the first rate (default: the config's / 1000)", readNumber)
      .option("--to <rate>", "the last (default: the config's * 100)", readNumber)
      .option("--steps <n>", "rates that are tried", readCount(10, 100_000), 100)
      .option("--html <file>", "the curve as a page too", readPath),
    { groups: ["The run:", "Data:", "Recipe:"], without: ["--epochs", "--max-time", "--schedule", "--ema"] },
  );

export const lrFindCommand: CommandDefinition<LrFindOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options) => {
      const config = configOf(options, given.env);
      const { from = config.optimizer.lr / 1000, to = config.optimizer.lr * 100 } = options as {
        from?: number;
        to?: number;
      };
      if (!(from > 0 && to > from)) throw new ConfigError(`--from is ${from} and --to ${to}, expected 0 < from < to`);
      return { ...options, config, from, to } as unknown as LrFindOptions;
    }),
  run: ({ config, from, to, steps, html: file }, { reporter, signal }) =>
    unlessStopped({ reporter, signal }, async () => {
      const { training } = await loadTrainingData(config, reporter, signal);
      const { batchSize, seed } = config;
      if (batchSize > training.count)
        throw new ConfigError(`batchSize is ${batchSize}, more than the ${training.count} training images`);
      const { backend } = await openBackend(config.backend);
      const assembled = assemble(config, { steps, training }, { backend, seed });
      try {
        const { net, optimizer, loss, transform, augment } = assembled;
        // Rates of the optimizer's groups are in its own units; those of the config are what people know.
        const unit = Math.min(...optimizer.groups.map(({ lr }) => lr)) / config.optimizer.lr;
        const show = (done: number): void => reporter.progress({ phase: "trying rates", done, total: steps });
        let tried = 0;
        show(tried);
        const found = await lrFind({
          net,
          optimizer,
          loss,
          // Called once a step.
          transform: (grads) => {
            show(++tried);
            return transform?.(grads) ?? grads;
          },
          accumulate: config.accumulate,
          reduction: config.loss.reduction,
          auxiliaryWeight: config.loss.auxiliaryWeight,
          batches: (epoch) => {
            const mix = config.mix ?? undefined;
            return batches(training, { backend, size: batchSize, seed, epoch, augment, mix, dropLast: true });
          },
          from: from * unit,
          to: to * unit,
          steps,
          signal,
        });
        signal.throwIfAborted();
        const points = found.points.map((point) => ({ ...point, lr: point.lr / unit }));
        const suggestion = found.suggestion === undefined ? null : found.suggestion / unit;
        if (file !== undefined) {
          const place = (lr: number): number => Math.log10(lr) - Math.log10(from);
          const chosen = points.find(({ lr }) => lr === suggestion);
          const shown = suggestion?.toPrecision(2) ?? "";
          const outcome =
            suggestion === null
              ? "No rate is better than the others."
              : html`Suggested: <b>--lr ${shown}</b>, where the smoothed loss falls fastest.`;
          const page = await singlePage(
            "Learning rates – Striate",
            html`<header><p class="brand">Striate · learning rates</p><h1>${config.network.name}, ${config.optimizer.name}</h1>
<p class="outcome">${outcome}</p></header>
<main><section>${chart({
              title: "Loss of a batch by the learning rate of its step",
              xName: "learning rate",
              format: decimal,
              xFormat: (x) => (from * 10 ** x).toExponential(1),
              curves: [
                {
                  name: "a step",
                  color: 0,
                  dots: points.map(({ lr, loss }) => ({ x: place(lr), y: loss, title: `${lr}: ${loss}` })),
                },
                { name: "smoothed", color: 1, line: points.map(({ lr, smoothed }) => [place(lr), smoothed] as const) },
                ...(chosen
                  ? [{ name: "suggested", color: 2, dots: [{ x: place(chosen.lr), y: chosen.smoothed, title: shown }] }]
                  : []),
              ],
            })}</section></main>`,
          );
          await replaceFile(file, [new TextEncoder().encode(page)]);
        }
        reporter.event(
          { event: "lr", suggestion, diverged: found.diverged, points, ...(file !== undefined && { html: file }) },
          ({ bold }) =>
            [
              textPlot(
                points.map(({ lr, smoothed }) => ({ x: lr, y: smoothed })),
                {
                  width: 64,
                  height: 14,
                  mark: suggestion ?? undefined,
                  xLabel: (x) => x.toExponential(0),
                  yLabel: (y) => y.toFixed(2),
                },
              ),
              bold(suggestion === null ? "no rate is better than the others" : `--lr ${suggestion.toPrecision(2)}`),
              ...(file === undefined ? [] : [file]),
            ].join("\n"),
        );
        return "ok";
      } finally {
        assembled.dispose();
        backend.dispose();
      }
    }),
};
