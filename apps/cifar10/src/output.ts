import { mkdir, mkdtemp, readdir, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RunError } from "./runs.js";

/** What was trained cannot be written where it should go. */
export class OutputError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "OutputError";
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** As mkdir with `recursive`, which never returns where a folder cannot be made although its parent is there (/proc). */
const makeFolder = async (folder: string): Promise<void> => {
  const make = (): Promise<void> =>
    mkdir(folder).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error;
    });
  try {
    await make();
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || dirname(folder) === folder) throw error;
    await makeFolder(dirname(folder));
    await make();
  }
};

/**
 * Makes the folder and sees that a file can be written in it: better known before training than after it. It tries,
 * because permission bits tell nothing of a full or read-only disk.
 *
 * @throws OutputError
 */
export const prepareOutput = async (folder: string): Promise<void> => {
  try {
    await makeFolder(folder);
    await rmdir(await mkdtemp(join(folder, ".try-")));
  } catch (error) {
    throw new OutputError(`cannot write to the folder ${folder}: ${(error as Error).message}`, { cause: error });
  }
};

/** As `prepareOutput`, for the folder of a run that is yet to be made: an empty one, or none. @throws OutputError, RunError */
export const prepareRunFolder = async (folder: string): Promise<void> => {
  const names = await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new OutputError(`cannot write to the folder ${folder}: ${(error as Error).message}`, { cause: error });
  });
  if (names !== undefined && names.length > 0)
    throw new RunError(`${folder} is not empty; a new run wants a folder of its own, --resume goes on with one`);
  await prepareOutput(names === undefined ? dirname(folder) : folder);
};
