/** What an open live page costs a training: `npm run bench:ui`. The same training with and without, in turns. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findChromium, launchChromium } from "@striate/chromium";
import { Command } from "commander";
import { count, duration } from "./options.js";
import { median } from "./statistics.js";

const command = new Command("npm run bench:ui --")
  .description("Trains for the same time without and with a live page that is open in headless Chromium, and compares.")
  .option("-t, --max-time <seconds>", "of training in each run", duration, 600)
  .option("--rounds <n>", "runs of each kind", count, 1)
  .option("--preset <name>", "what is trained", "fast90")
  .addHelpText("after", "\nExample:\n  npm run bench:ui -- --max-time 120 --rounds 3\n");

interface End {
  readonly event: string;
  readonly imagesPerSecond: number;
  readonly steps: number;
}

const bootstrap = fileURLToPath(new URL("../../bootstrap.mjs", import.meta.url));

/** Images a second of one training. @throws Error when it failed */
const train = async (preset: string, seconds: number, withPage: boolean): Promise<End> => {
  const folder = await mkdtemp(join(tmpdir(), "striate-live-page-"));
  const args = [
    "cifar10",
    "--preset",
    preset,
    "--max-time",
    `${seconds}s`,
    "--seed",
    "0",
    "--json",
    "--out",
    join(folder, "run"),
  ];
  const child = spawn(process.execPath, [bootstrap, ...args, ...(withPage ? ["--ui"] : [])], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let said = "";
  let markOpen: (url: string) => void;
  const url = new Promise<string>((resolve) => {
    markOpen = resolve;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    const [, address] = /live page: (\S+)/.exec(said) ?? [];
    if (address) markOpen(address);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  const browser = withPage ? await launchChromium(await findChromium()) : undefined;
  try {
    if (browser) {
      const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
      const address = await Promise.race([url, ended.then(() => undefined)]);
      if (address) await page.goto(address);
    }
    const code = await ended;
    const end = out
      .split("\n")
      .filter((line) => line.startsWith('{"event":"end"'))
      .map((line) => JSON.parse(line) as End)
      .at(-1);
    if (code !== 0 || !end) throw new Error(`the training ended with exit code ${code}:\n${said}`);
    return end;
  } finally {
    child.kill();
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  }
};

const main = async (): Promise<void> => {
  const { maxTime, rounds, preset } = command.parse().opts<{ maxTime: number; rounds: number; preset: string }>();
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const speeds = { without: 0, with: 0 };
    // The first of a pair has the cooler machine: they take turns.
    for (const kind of round % 2 === 0 ? (["without", "with"] as const) : (["with", "without"] as const)) {
      const { imagesPerSecond, steps } = await train(preset, maxTime, kind === "with");
      speeds[kind] = imagesPerSecond;
      process.stdout.write(`${kind.padEnd(7)} the page: ${imagesPerSecond.toFixed(1)} images/s, ${steps} steps\n`);
    }
    ratios.push(speeds.with / speeds.without);
  }
  process.stdout.write(`with / without: ${median(ratios).toFixed(4)} (median of ${rounds})\n`);
};

await main();
