/**
 * What an open live page costs a training: `npm run bench:ui`. The same training with and without, in short turns: the speed of a
 * machine wanders by more than a page costs.
 */
import { findChromium, launchChromium } from "@striate/chromium";
import { Command } from "commander";
import { count, duration } from "./options.js";
import { median } from "./statistics.js";
import { type TrainedNet, trainNet } from "./trained-net.js";

const command = new Command("npm run bench:ui --")
  .description("Trains for the same time without and with a live page that is open in headless Chromium, and compares.")
  .option("-t, --max-time <seconds>", "of training in each run", duration, 100)
  .option("--rounds <n>", "runs of each kind", count, 6)
  .option("--preset <name>", "what is trained", "fast90")
  .addHelpText("after", "\nExample:\n  npm run bench:ui -- --max-time 60 --rounds 3\n");

/** One training, with the page open as long as it goes on. */
const trainWithPage = async (options: readonly string[]): Promise<TrainedNet> => {
  const browser = await launchChromium(await findChromium());
  let opened: Promise<unknown> | undefined;
  try {
    const trained = await trainNet([...options, "--ui"], (notice) => {
      const [, url] = /live page: (\S+)/.exec(notice) ?? [];
      if (url) opened = browser.newPage({ viewport: { width: 1280, height: 1600 } }).then((page) => page.goto(url));
    });
    if (!opened) throw new Error("cifar10 did not say where its live page is");
    await opened;
    return trained;
  } finally {
    await browser.close();
  }
};

const main = async (): Promise<void> => {
  const { maxTime, rounds, preset } = command.parse().opts<{ maxTime: number; rounds: number; preset: string }>();
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const speeds = { without: 0, with: 0 };
    // The first of a pair has the cooler machine: they take turns.
    for (const kind of round % 2 === 0 ? (["without", "with"] as const) : (["with", "without"] as const)) {
      const options = ["--preset", preset, "--max-time", `${maxTime}s`, "--seed", "0", "--views", "1"];
      const { imagesPerSecond, steps } = await (kind === "with" ? trainWithPage : trainNet)(options);
      speeds[kind] = imagesPerSecond;
      process.stdout.write(`${kind.padEnd(7)} the page: ${imagesPerSecond.toFixed(1)} images/s, ${steps} steps\n`);
    }
    ratios.push(speeds.with / speeds.without);
  }
  process.stdout.write(`with / without: ${median(ratios).toFixed(4)} (median of ${rounds})\n`);
};

await main();
