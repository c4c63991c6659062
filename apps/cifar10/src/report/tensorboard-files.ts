import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "@striate/checkpoint/node";
import { z } from "zod";
import { readRun } from "./run-folder.js";
import { eventFile, scalarEvents } from "./tensorboard.js";

const environmentSchema = z.looseObject({ startedAt: z.iso.datetime() });

/** Seconds since 1970 at the start of the run; 0, so that times are relative, where nobody wrote it down. */
const startOf = (environment: unknown): number => {
  const parsed = environmentSchema.safeParse(environment);
  return parsed.success ? Date.parse(parsed.data.startedAt) / 1000 : 0;
};

/**
 * Writes RUN/tensorboard/train and …/validation, in place of earlier ones. @returns the paths
 *
 * @throws ReportError or CheckpointError as `writeReport`
 */
export const writeTensorBoard = async (folder: string): Promise<string[]> => {
  const { records, environment } = await readRun(folder);
  const startedAt = startOf(environment);
  const paths: string[] = [];
  const all = scalarEvents(
    records.map(({ metric }) => metric),
    startedAt,
  );
  for (const [name, events] of Object.entries(all)) {
    if (events.length === 0) continue;
    const into = join(folder, "tensorboard", name);
    await mkdir(into, { recursive: true });
    // TensorBoard wants "tfevents" in the name, and reads what sorts last.
    const path = join(into, `events.out.tfevents.${`${Math.floor(startedAt)}`.padStart(10, "0")}.striate`);
    await replaceFile(path, [eventFile(startedAt, events)]);
    paths.push(path);
  }
  return paths;
};
