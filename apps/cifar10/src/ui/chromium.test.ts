// The live page as people see it, with a run behind it.
import { findChromium, launchChromium } from "@striate/chromium";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { allOf, type MetricOf } from "../report/metrics.js";
import { decimal, duration, percent, roundPercent, whole } from "./page/format.js";
import { capacity } from "./page/run-state.js";
import { stopReason } from "./port.js";
import { type Simulation, type Subject, simulateRun, smallSubject } from "./testing/simulate.js";
import { sourcePageFiles } from "./testing/source-page.js";

const executable = await findChromium().catch((error: Error) => error);
const required = process.env["CI"] !== undefined;
const timeout = 60_000;
/** More than any test waits for. */
const manyEpochs = 100_000;
/** A loaded machine takes its time. */
const patience = { timeout: 20_000 };

if (executable instanceof Error && !required) test.skip(`in Chromium: left out, ${executable.message}`, () => {});
else {
  let browser: Browser;
  let subject: Subject;
  let run: Simulation;
  let page: Page;
  /** What should never be: errors in the console, requests that leave the server. */
  let faults: string[];

  /** Hears everything that a page does wrong. */
  const watch = (watched: Page): Page => {
    const { origin } = new URL(run.ui.url);
    watched.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") faults.push(message.text());
    });
    watched.on("pageerror", (error) => faults.push(error.message));
    watched.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !url.startsWith("data:")) faults.push(`request of ${url}`);
    });
    watched.setDefaultTimeout(timeout / 2);
    return watched;
  };

  const open = async (options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 2600 }, ...options });
    const opened = watch(await context.newPage());
    await opened.goto(run.ui.url);
    return opened;
  };

  const status = (text: string): Promise<void> => page.locator(".pill", { hasText: new RegExp(`^${text}$`) }).waitFor();
  const tile = (name: string) => page.locator(".tile", { has: page.locator(`dt:text-is("${name}")`) }).locator("dd");
  const stopRun = async (): Promise<void> => {
    run.port.request({ type: "stop" });
    await run.done;
  };

  beforeAll(async () => {
    if (executable instanceof Error) throw executable;
    browser = await launchChromium(executable);
  }, timeout);
  afterAll(() => browser?.close());

  beforeEach(async () => {
    faults = [];
    subject = await smallSubject();
    run = await simulateRun({ files: await sourcePageFiles(), subject, epochs: manyEpochs });
    page = await open();
  }, timeout);
  afterEach(async () => {
    await page?.context().close();
    await stopRun();
    await run.close();
    subject.dispose();
  }, timeout);

  describe("the live page", { timeout }, () => {
    test("shows a run that goes on, with curves and pictures, and asks nobody else for anything", async () => {
      await status("training");
      await page.locator(".link", { hasText: "live" }).waitFor();
      expect(await page.title()).toContain("small net · cpu");
      for (const what of ["predictions", "filters", "activations", "gradients"])
        await page.locator(`.${what} img[src^="data:image/png;base64,"]`).first().waitFor();
      await page.locator(".confusion tbody td").first().waitFor();
      expect(await page.locator(".plot canvas").count()).toBe(4);
      const decoded = await page
        .locator("img")
        .evaluateAll((images) =>
          Promise.all(images.map((image) => (image as HTMLImageElement).decode())).then(() => images.length),
        );
      expect(decoded).toBeGreaterThan(12);
      const iteration = await tile("Iteration").textContent();
      await expect.poll(() => tile("Iteration").textContent(), patience).not.toBe(iteration);
      expect(faults).toEqual([]);
    });

    test("draws the curves: the canvas has the colours of all of them", async () => {
      await page.locator(".confusion tbody td").first().waitFor();
      const colors = await page
        .locator(".plot canvas")
        .first()
        .evaluate((canvas: HTMLCanvasElement) => {
          const context = canvas.getContext("2d") as CanvasRenderingContext2D;
          const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
          const found = new Set<string>();
          for (let i = 0; i < data.length; i += 4)
            if (data[i + 3] === 255) found.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
          return [...found];
        });
      // Smoothed and validation in the light theme.
      expect(colors).toContain("11,99,182");
      expect(colors).toContain("194,65,12");
    });

    test("pauses, goes on, and changes what the optimizer has", async () => {
      await status("training");
      await page.getByRole("button", { name: "Pause" }).click();
      await status("paused");
      const at = run.metrics.length;
      await page.getByLabel("learning rate").fill("0.0125");
      await page.getByLabel("weight decay").fill("0.001");
      await page.getByRole("button", { name: "Apply" }).click();
      await expect.poll(() => run.requests.filter(({ type }) => type === "change"), patience).toHaveLength(1);
      expect(run.metrics.length - at).toBeLessThanOrEqual(1);
      await page.getByRole("button", { name: "Resume" }).click();
      await status("training");
      await page.locator(".changes li").waitFor();
      expect(run.requests.filter(({ type }) => type !== "snapshot")).toEqual([
        { type: "pause" },
        { type: "change", lr: 0.0125, weightDecay: 0.001 },
        { type: "resume" },
      ]);
      expect(run.changes).toHaveLength(1);
      const [{ step, lr, weightDecay }] = run.changes as [(typeof run.changes)[0]];
      expect({ lr, weightDecay }).toEqual({ lr: 0.0125, weightDecay: 0.001 });
      expect(await page.locator(".changes li").textContent()).toBe(
        `after step ${step}: learning rate 0.0125, weight decay 0.001`,
      );
      expect(faults).toEqual([]);
    });

    test("says why a change was refused", async () => {
      await status("training");
      await page.getByLabel("momentum").fill("1.5");
      await page.getByRole("button", { name: "Apply" }).click();
      await page.getByRole("alert").filter({ hasText: "momentum is 1.5" }).waitFor();
      expect(run.changes).toEqual([]);
    });

    test("shows other layers and examples", async () => {
      const layers = page.locator(".filters select");
      await layers.waitFor();
      await layers.selectOption("4.weight");
      await page.locator('.filters img[alt="weights of 4.weight"]').waitFor();
      const example = page.locator(".activations .example img");
      await example.waitFor();
      expect(await example.getAttribute("alt")).toMatch(/^example 0:/);
      await page.getByRole("button", { name: "next of Activations" }).click();
      await page.locator('.activations .example img[alt^="example 1:"]').waitFor();
      await page.getByRole("button", { name: "next of Predictions" }).click();
      await page.locator('.predictions img[alt^="example 12:"]').waitFor();
      expect(faults).toEqual([]);
    });

    test("opens the images of a cell of the confusion matrix", async () => {
      const cell = page.locator(".confusion tbody button:enabled").first();
      await cell.waitFor();
      // A validation meanwhile would bring another matrix.
      await page.getByRole("button", { name: "Pause" }).click();
      await status("paused");
      const count = Number(await cell.textContent());
      await cell.click();
      const dialog = page.locator(".confusion-panel dialog[open]");
      await dialog.waitFor();
      expect(await dialog.locator("img").count()).toBe(Math.min(12, count));
      await dialog.getByRole("button", { name: "Close" }).click();
      await dialog.waitFor({ state: "detached" });
      expect(faults).toEqual([]);
    });

    test("a page that is loaded anew, and a second one, know what was before", async () => {
      await page.locator(".confusion tbody td").first().waitFor();
      await page.getByLabel("learning rate").fill("0.02");
      await page.getByRole("button", { name: "Apply" }).click();
      await page.locator(".changes li").waitFor();
      await page.getByRole("button", { name: "Pause" }).click();
      await status("paused");
      const iteration = await tile("Iteration").textContent();
      for (const again of [
        () => page.reload(),
        async () => {
          await page.context().close();
          page = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark" });
        },
      ]) {
        await again();
        await status("paused");
        await expect.poll(() => tile("Iteration").textContent(), patience).toBe(iteration);
        expect(await page.locator(".changes li").count()).toBe(1);
        await page.locator(".confusion tbody td").first().waitFor();
        await page.locator('.filters img[src^="data:"]').first().waitFor();
        // Nothing hangs over the side of a phone.
        expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
      }
      expect(faults).toEqual([]);
    });

    test("stops and keeps, shows why it ended, and stays when the program has gone; its figures are the metrics'", async () => {
      await page.locator(".confusion tbody td").first().waitFor();
      await page.getByRole("button", { name: "Stop and keep" }).click();
      await page.locator(".sure").getByRole("button", { name: "Stop and keep" }).click();
      await status("ended");
      const result = await run.done;
      expect(result).toMatchObject({ ended: "stopped", reason: stopReason });
      for (const again of [async () => {}, () => page.reload()]) {
        await again();
        await status("ended");
        expect(await page.locator(".ending").textContent()).toBe(`Training stopped: ${stopReason}.`);
        const records = run.metrics.map((metric, i) => ({ line: i + 1, metric }));
        const last = <E extends "step" | "validation" | "test">(event: E): MetricOf<E> =>
          allOf(records, event).at(-1)?.metric as MetricOf<E>;
        expect(await tile("Iteration").textContent()).toBe(`${last("step").step}`);
        expect(await tile("Training loss").textContent()).toBe(decimal(last("step").loss));
        expect(await tile("Training accuracy").textContent()).toBe(percent(last("step").accuracy));
        expect(await tile("Learning rate").textContent()).toBe(decimal(last("step").lr));
        expect(await tile("Validation accuracy").textContent()).toBe(percent(last("validation").accuracy));
        expect(await tile("Test accuracy").textContent()).toBe(percent(last("test").accuracy));
        expect(await tile("Epoch").textContent()).toBe(whole(last("step").epoch + 1));
        expect(await tile("Elapsed").textContent()).toBe(duration(run.metrics.at(-1)?.time));
        expect(await tile("Remaining").textContent()).toBe("0.0 s");
        const steps = allOf(records, "step").map(({ metric }) => metric);
        const mean = steps.reduce((sum, { seconds }, i) => (i === 0 ? seconds : 0.95 * sum + 0.05 * seconds), 0);
        expect(await tile("Images/s").textContent()).toBe(whole(last("step").images / mean));
        const best = Math.max(...allOf(records, "validation").map(({ metric }) => metric.accuracy));
        expect(await page.locator(".tile small", { hasText: "best" }).textContent()).toBe(`best ${percent(best)}`);
        const epoch = allOf(records, "epoch").at(-1)?.metric as MetricOf<"epoch">;
        expect(await page.locator(".tile small", { hasText: `epoch ${epoch.epoch + 1}:` }).allTextContents()).toEqual([
          `epoch ${epoch.epoch + 1}: ${decimal(epoch.trainLoss)}`,
          `epoch ${epoch.epoch + 1}: ${roundPercent(epoch.trainAccuracy)}`,
        ]);
        // Under the pointer, where nothing is smoothed: the mean of the steps that share a place of the curve.
        await page.getByLabel("Smoothing").fill("0");
        const places = 2 ** Math.max(0, Math.ceil(Math.log2(steps.length / capacity)));
        for (const [i, column, format] of [
          [0, "loss", decimal],
          [1, "accuracy", percent],
        ] as const) {
          const chart = page.locator(".chart").nth(i);
          await chart.locator(".u-over").hover({ position: { x: 40, y: 20 } });
          const [, at, shown] =
            /^step (\d+) · (.*?) smoothed/.exec((await chart.locator(".readout").textContent()) ?? "") ?? [];
          const place = steps.slice(Number(at) - places, Number(at)).map((step) => step[column]);
          expect(shown).toBe(format(place.reduce((a, b) => a + b, 0) / places));
        }
        const cells = await page.locator(".confusion tbody td").allTextContents();
        expect(cells.map(Number)).toEqual(last("test").confusion.flat());
        expect(await page.getByRole("button", { name: "Pause" }).isDisabled()).toBe(true);
      }
      expect(faults).toEqual([]);
      await run.close();
      await page.locator(".link", { hasText: "the program has ended" }).waitFor();
      expect(await tile("Iteration").textContent()).toBe(`${result.steps}`);
    });
  });
}
