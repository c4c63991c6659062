import { access, constants } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { createWasmBackend } from "@striate/backend-wasm";
import { saveSafetensors } from "@striate/checkpoint/node";
import { DataError, subset } from "@striate/data";
import { mnist } from "@striate/data/node";
import { TrainingError } from "@striate/train";
import { SingleBar } from "cli-progress";
import { CommanderError } from "commander";
import type { Exit } from "./exit-codes.js";
import { runExperiment } from "./experiment.js";
import { type Options, type Output, parseOptions } from "./options.js";

const signals = { SIGINT: "interrupted", SIGTERM: "terminated" } as const;

/** The weights cannot be written. */
class OutputError extends Error {}

const failures: readonly (readonly [new (...args: never[]) => Error, Exit])[] = [
  [DataError, "data"],
  [TrainingError, "training"],
  [OutputError, "output"],
];

const exitOf = (error: unknown): Exit => failures.find(([type]) => error instanceof type)?.[1] ?? "internal";

/** @throws OutputError naming the file. */
const writing = async (file: string, write: () => Promise<void>): Promise<void> => {
  try {
    await write();
  } catch (cause) {
    throw new OutputError(`cannot write ${file}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
};

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const run = async (options: Options, { out, err }: Output): Promise<Exit> => {
  const { passes, seed, head, images, data, offline, out: file } = options;
  // Better to know before the hour that follows.
  if (file !== undefined) await writing(file, () => access(dirname(resolve(file)), constants.W_OK));
  const [all, test] = [await mnist("train", { dir: data, offline }), await mnist("test", { dir: data, offline })];
  const first = Int32Array.from({ length: images ?? all.count }, (_, i) => i);
  // With one image the kernels are too small for a second thread to be worth its waking.
  const backend = await createWasmBackend({ threads: 1 });
  const controller = new AbortController();
  let stoppedBy: Exit | undefined;
  const stop = (signal: keyof typeof signals): void => {
    stoppedBy = signals[signal];
    err(`\nlenet5: ${signal}: stopping after this image\n`);
    controller.abort(new Error(signal));
  };
  // Once: the second one ends the process.
  process.once("SIGINT", stop).once("SIGTERM", stop);
  // Silent where standard error is no terminal.
  const bar = new SingleBar({
    format: "pass {pass}  {bar}  {percentage}%  loss {loss}  {eta_formatted} left",
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 2000,
  });
  bar.start(passes * first.length, 0, { pass: 1, loss: "" });
  let loss = 0;
  try {
    const net = await runExperiment({
      backend,
      train: subset(all, first),
      test,
      passes,
      seed,
      head,
      signal: controller.signal,
      onStep: (step) => {
        loss = step.images === 1 && step.pass === 1 ? step.loss : 0.999 * loss + 0.001 * step.loss;
        if (step.images % 50 === 0)
          bar.update((step.pass - 1) * first.length + step.images, { pass: step.pass, loss: loss.toFixed(3) });
      },
      onPass: ({ pass, eta, loss, testError, seconds }) => {
        if (process.stderr.isTTY) err("\r\x1b[2K"); // the progress line gives way
        out(
          `pass ${pass}, eta ${eta}: loss ${loss.toFixed(4)}, test error ${percent(testError)}, ${seconds.toFixed(0)} s\n`,
        );
      },
    });
    if (file !== undefined) await writing(file, () => saveSafetensors(file, net.stateDict()));
    return "ok";
  } catch (error) {
    if (stoppedBy === undefined) throw error;
    return stoppedBy;
  } finally {
    bar.stop();
    process.off("SIGINT", stop).off("SIGTERM", stop);
    backend.dispose();
  }
};

/** The program. Says on `output` what went wrong, if anything did. */
export const program = async (args: readonly string[], output: Output): Promise<Exit> => {
  let options: Options;
  try {
    options = parseOptions(args, output);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? "ok" : "usage";
  }
  try {
    return await run(options, output);
  } catch (error) {
    const exit = exitOf(error);
    output.err(`lenet5: ${error instanceof Error ? (exit === "internal" ? error.stack : error.message) : error}\n`);
    return exit;
  }
};
