/** The commands by name, and what each is for; apart from their code, because the help of one names all others. */
import { table } from "../cli.js";

export const summaries = {
  train: "train, save and test a network (what runs without a command)",
  eval: "test the weights of a run again",
  predict: "what a picture shows, by a trained network",
  visualize: "draw what a trained network sees in a picture",
  experiment: "train presets one after the other, and compare them",
  compare: "runs side by side: figures, settings, curves",
  "lr-find": "look for a learning rate",
  gradcheck: "compare gradients with finite differences",
  data: "fetch or verify CIFAR-10, or say where it is",
  models: "the networks, and what they cost",
  doctor: "what works here, and what to do about the rest",
} as const;

export type CommandName = keyof typeof summaries;

export const commandNames = Object.keys(summaries) as readonly CommandName[];

export const commandTable = (): string => table(commandNames.map((name) => [name, summaries[name]]));
