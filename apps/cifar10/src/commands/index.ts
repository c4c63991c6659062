import type { CommonOptions } from "../cli.js";
import type { CommandDefinition } from "./command.js";
import type { CommandName } from "./names.js";

type Load = () => Promise<CommandDefinition<CommonOptions>>;

const loading = <O extends CommonOptions>(load: () => Promise<CommandDefinition<O>>): Load => load as unknown as Load;

/** Each is loaded at its use. */
export const commands: Readonly<Record<CommandName, Load>> = {
  train: loading(async () => (await import("./train.js")).train),
  eval: loading(async () => (await import("./eval.js")).evaluateRun),
  predict: loading(async () => (await import("./predict.js")).predict),
  visualize: loading(async () => (await import("./visualize.js")).visualize),
  experiment: loading(async () => (await import("./experiment.js")).experiment),
  compare: loading(async () => (await import("./compare.js")).compare),
  "lr-find": loading(async () => (await import("./lr-find.js")).lrFindCommand),
  gradcheck: loading(async () => (await import("./gradcheck.js")).gradcheckCommand),
  data: loading(async () => (await import("./data.js")).dataCommand),
  models: loading(async () => (await import("./models.js")).models),
  doctor: loading(async () => (await import("./doctor.js")).doctor),
};
