/** A whole training by `npm run cifar10`, for the benchmarks of one. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Of what the program says at its end. */
export interface TrainedNet {
  readonly preset: string;
  readonly testAccuracy: number;
  readonly trainSeconds: number;
  readonly steps: number;
  readonly imagesPerSecond: number;
}

// From src/ and from dist/ alike. Building what is not built is its business.
const program = fileURLToPath(new URL("../../bootstrap.mjs", import.meta.url));

/**
 * Trains in a folder that is gone afterwards.
 * @param onNotice is given what the program says to people, as it comes, and the folder of the run
 * @throws Error with what the program said last, where it does not end with a trained net.
 */
export const trainNet = async (
  options: readonly string[],
  onNotice?: (text: string, run: string) => void,
): Promise<TrainedNet> => {
  const folder = await mkdtemp(join(tmpdir(), "striate-bench-"));
  const run = join(folder, "run");
  try {
    const args = [program, "cifar10", ...options, "--json", "--out", run];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    let complaints = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaints = `${complaints}${text}`.slice(-2000);
      onNotice?.(text, run);
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    const last = said.trimEnd().split("\n").at(-1) as string;
    if (code !== 0) throw new Error(`cifar10 ended with ${code}: ${last || complaints.trim().split("\n").at(-1)}`);
    const { preset, testAccuracy, trainSeconds, steps, imagesPerSecond } = JSON.parse(last) as TrainedNet;
    return { preset, testAccuracy, trainSeconds, steps, imagesPerSecond };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
