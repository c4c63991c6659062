/**
 * What an open live page costs a training: `npm run bench:ui`. One training, beside which the page is closed and opened in turns: the
 * speed of a machine wanders by more from one training to the next than a page costs.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findChromium, launchChromium } from "@striate/chromium";
import { Command } from "commander";
import { duration } from "./options.js";
import { summarize } from "./statistics.js";
import { trainNet } from "./trained-net.js";
import { type Turn, turnRatios } from "./turns.js";

/** Seconds at the beginning of a turn that do not count: a page loads then, which it does once. */
const settling = 5;

const command = new Command("npm run bench:ui --")
  .description("Trains once, closes and opens the live page in headless Chromium in turns, and compares the speeds.")
  .option("-t, --max-time <seconds>", "of training", duration, 600)
  .option(
    "--turn <seconds>",
    `for which the page is closed, then open; the first ${settling} do not count`,
    duration,
    30,
  )
  .option("--preset <name>", "what is trained", "fast90")
  .addHelpText("after", "\nExample:\n  npm run bench:ui -- --max-time 300 --turn 20\n");

interface Position {
  readonly images: number;
  /** Seconds of the run at the end of the last step. */
  readonly time: number;
}

/** Where a run stands. The page is there before the run has a folder. */
const positionOf = (run: string): Position => {
  const file = join(run, "metrics.jsonl");
  // What stands behind the last line break is still being written.
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
  const steps = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "step");
  return { images: steps.reduce((sum, { images }) => sum + images, 0), time: steps.at(-1)?.time ?? 0 };
};

const main = async (): Promise<void> => {
  const { maxTime, turn, preset } = command.parse().opts<{ maxTime: number; turn: number; preset: string }>();
  if (turn <= settling) command.error(`error: --turn is ${turn}, expected more than ${settling} seconds`);
  const turns: Turn[] = [];
  const over = new AbortController();
  const wait = (seconds: number): Promise<void> => sleep(1000 * seconds, undefined, { signal: over.signal });
  const browser = await launchChromium(await findChromium());

  const measure = async (kind: Turn["kind"], run: string): Promise<void> => {
    await wait(settling);
    const from = positionOf(run);
    await wait(turn - settling);
    const to = positionOf(run);
    const speed = (to.images - from.images) / (to.time - from.time);
    turns.push({ kind, speed });
    const at = `${to.time.toFixed(0)} s`;
    process.stdout.write(`${at.padStart(6)}  ${kind.padEnd(7)} the page: ${speed.toFixed(1)} images/s\n`);
  };
  const takeTurns = async (url: string, run: string): Promise<void> => {
    // The first steps compile what later ones run.
    while (positionOf(run).images === 0) await wait(1);
    // What would not end before the training does is no turn.
    while (positionOf(run).time + turn < maxTime)
      if (turns.length % 2 === 0) await measure("without", run);
      else {
        const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
        await page.goto(url);
        await measure("with", run);
        await page.close();
      }
  };
  try {
    const options = ["--preset", preset, "--max-time", `${maxTime}s`, "--seed", "0", "--views", "1", "--ui"];
    let failure: Error | undefined = new Error("cifar10 did not say where its live page is");
    await trainNet(options, (notice, run) => {
      const [, url] = /live page: (\S+)/.exec(notice) ?? [];
      if (!url) return;
      failure = undefined;
      takeTurns(url, run).catch((error: Error) => {
        if (error.name !== "AbortError") failure = error;
      });
    });
    if (failure) throw failure;
  } finally {
    over.abort();
    await browser.close();
  }
  const ratios = turnRatios(turns);
  if (ratios.length === 0)
    command.error(`error: ${turns.length} turns are too few to compare: a longer --max-time, or a shorter --turn`);
  const { median, min, max } = summarize(ratios);
  process.stdout.write(
    `with / without: ${median.toFixed(4)}, the median of ${ratios.length} turns, each against its neighbours (${min.toFixed(3)} to ${max.toFixed(3)})\n`,
  );
};

await main();
