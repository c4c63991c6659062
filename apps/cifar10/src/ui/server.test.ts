import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { decode } from "fast-png";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Picture } from "../report/pictures.js";
import type { RunState } from "./page/run-state.js";
import type { PageFiles } from "./page-files.js";
import type { EvaluationImages, UiRequest } from "./protocol.js";
import { openUi, type Ui, UiError } from "./server.js";

const files: PageFiles = new Map([["", { type: "text/html", content: "the page" }]]);
let ui: Ui;
let requests: UiRequest[];

beforeEach(async () => {
  requests = [];
  ui = await openUi({
    title: "a run",
    facts: [["cpu", "fast"]],
    files,
    onRequest: (request) => requests.push(request),
  });
});
afterEach(() => ui.close());

/** The first state that a page gets. */
const stateNow = async (): Promise<RunState> => {
  const response = await fetch(`${ui.url}events`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part, { stream: true });
    const found = /^event: state\ndata: (.*)\n\n/.exec(text);
    // Leaving the loop ends the connection.
    if (found) return JSON.parse(found[1] as string);
  }
  throw new Error(`no state in ${text}`);
};

const picture = (width: number, height: number): Picture => ({
  width,
  height,
  data: Uint8Array.from({ length: 4 * width * height }, (_, i) => i),
});

const decoded = (url: string) => decode(Buffer.from(url.replace("data:image/png;base64,", ""), "base64"));

describe("the server", () => {
  test("is on this machine alone, and the secret is long", async () => {
    expect(ui.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/$/);
    expect(await (await fetch(ui.url)).text()).toBe("the page");
    const { port, pathname } = new URL(ui.url);
    const others = Object.values(networkInterfaces()).flatMap((addresses = []) =>
      addresses.flatMap(({ address, internal, family }) => (internal || family !== "IPv4" ? [] : [address])),
    );
    for (const address of others) await expect(fetch(`http://${address}:${port}${pathname}`)).rejects.toThrow();
  });

  test("two have different secrets", async () => {
    const second = await openUi({ title: "a run", files, onRequest: () => {} });
    expect(new URL(second.url).pathname).not.toBe(new URL(ui.url).pathname);
    await second.close();
  });

  test("a port that is taken is a UiError that names it", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const opened = openUi({ title: "a run", files, onRequest: () => {}, port });
    await expect(opened).rejects.toThrow(UiError);
    await expect(opened).rejects.toThrow(`port ${port}`);
    other.close();
  });

  test("hands requests on", async () => {
    const headers = { "content-type": "application/json" };
    await fetch(`${ui.url}request`, { method: "POST", headers, body: '{"type":"pause"}' });
    expect(requests).toEqual([{ type: "pause" }]);
  });

  test("ends while pages listen", async () => {
    const response = await fetch(`${ui.url}events`);
    const text = response.text();
    await ui.close();
    expect(await text).toMatch(/^event: state\n/);
    ui = await openUi({ title: "a run", files, onRequest: () => {} });
  });
});

describe("a page that comes late", () => {
  test("gets all that was, with null for what is not finite", async () => {
    ui.metric({
      event: "start",
      time: 0,
      steps: 10,
      epochs: 2,
      batchSize: 4,
      backend: "cpu",
      seed: 1,
      data: "d",
      classes: ["a", "b"],
    });
    for (let step = 1; step <= 5; step++)
      ui.metric({
        event: "step",
        time: step,
        step,
        epoch: 0,
        loss: step === 5 ? Number.NaN : 1 / step,
        accuracy: 0.5,
        lr: 0.1,
        images: 4,
        seconds: 1,
      });
    ui.metric({
      event: "epoch",
      time: 5,
      epoch: 0,
      steps: 5,
      trainLoss: 1,
      trainAccuracy: 0.5,
      imagesPerSecond: 4,
      seconds: 5,
    });
    ui.metric({ event: "validation", time: 6, epoch: 0, step: 5, loss: 0.9, accuracy: 0.6, images: 8 });
    ui.metric({ event: "change", time: 6, step: 5, lr: 0.2, lrScale: 2 });
    ui.message({ type: "status", status: "paused" });
    ui.message({ type: "knobs", knobs: { lr: 0.2, weightDecay: 0.01 } });
    const state = await stateNow();
    expect(state).toMatchObject({
      title: "a run",
      facts: [["cpu", "fast"]],
      status: "paused",
      time: 6,
      epochEnds: [5],
      knobs: { lr: 0.2, weightDecay: 0.01 },
      step: { step: 5, loss: null },
    });
    expect(state.series.last).toEqual([1, 2, 3, 4, 5]);
    expect(state.series.values.loss.sum).toEqual([1, 1 / 2, 1 / 3, 1 / 4, null]);
    expect(state.validations).toHaveLength(1);
    expect(state.changes).toHaveLength(1);
  });

  test("gets the present after a resume, not what was made twice", async () => {
    const step = (n: number, loss: number) =>
      ui.metric({ event: "step", time: n, step: n, epoch: 0, loss, accuracy: 0.5, lr: 0.1, images: 4, seconds: 1 });
    for (let n = 1; n <= 6; n++) step(n, 1);
    ui.metric({ event: "validation", time: 6, epoch: 0, step: 6, loss: 0.9, accuracy: 0.6, images: 8 });
    ui.metric({ event: "end", time: 6, ended: "aborted", seconds: 6 });
    ui.metric({ event: "resume", time: 6, step: 4 });
    for (let n = 5; n <= 7; n++) step(n, 2);
    const state = await stateNow();
    expect(state.status).toBe("running");
    expect(state.end).toBeUndefined();
    expect(state.series.last).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(state.series.values.loss.sum).toEqual([1, 1, 1, 1, 2, 2, 2]);
    expect(state.validations).toEqual([]);
  });

  test("costs no more after a hundred thousand steps", async () => {
    for (let n = 1; n <= 100_000; n++)
      ui.metric({
        event: "step",
        time: n,
        step: n,
        epoch: 0,
        loss: Math.sin(n),
        accuracy: 0.5,
        lr: 0.1,
        images: 4,
        seconds: 1,
      });
    const state = await stateNow();
    expect(JSON.stringify(state).length).toBeLessThan(1_000_000);
    expect(state.series.last.at(-1)).toBe(100_000);
  });

  test("gets the last pictures, as PNG", async () => {
    const view = {
      layer: "0.weight",
      layers: ["0.weight"],
      shape: [1, 3, 2, 3],
      tiles: "filters",
      shown: 1,
      of: 1,
    } as const;
    const example = { index: 3, label: 1, picture: picture(4, 4), top: [[1, 0.9]] } as const;
    ui.message({ type: "snapshot", snapshot: { what: "filters", step: 3, ...view, picture: picture(3, 2) } });
    ui.message({ type: "snapshot", snapshot: { what: "predictions", step: 4, examples: [example], count: 9 } });
    const { snapshots } = await stateNow();
    const { filters, predictions } = snapshots;
    if (filters?.what !== "filters" || predictions?.what !== "predictions") throw new Error("not there");
    expect(decoded(filters.picture)).toMatchObject({ width: 3, height: 2, channels: 4 });
    expect([...decoded(filters.picture).data]).toEqual([...picture(3, 2).data]);
    expect(decoded(predictions.examples[0]?.picture ?? "")).toMatchObject({ width: 4, height: 4 });
  });
});

test("images of the cells of the last evaluation, also when nobody trains any more", async () => {
  const evaluation: EvaluationImages = {
    split: "validation",
    step: 5,
    classes: ["a", "b"],
    confusion: [
      [1, 1],
      [0, 0],
    ],
    cells: [
      { index: 4, label: 0, predicted: 0 },
      { index: 7, label: 0, predicted: 1 },
    ],
    channels: 1,
    height: 1,
    width: 2,
    images: Uint8Array.of(1, 2, 3, 4),
  };
  expect((await fetch(`${ui.url}cell/0/1`)).status).toBe(404);
  ui.message({ type: "evaluated", evaluation });
  const cell = await (await fetch(`${ui.url}cell/0/1`)).json();
  expect(cell).toMatchObject({ label: 0, predicted: 1, images: [{ index: 7 }] });
  expect([...decoded(cell.images[0].png).data]).toEqual([3, 3, 3, 255, 4, 4, 4, 255]);
  expect(await (await fetch(`${ui.url}cell/1/0`)).json()).toMatchObject({ images: [] });
  for (const path of ["cell/2/0", "cell/0/2", "cell/-1/0", "cell/x/0"])
    expect((await fetch(`${ui.url}${path}`)).status, path).toBe(404);
  const { evaluation: sent } = await stateNow();
  expect(sent).toEqual({ split: "validation", step: 5, classes: ["a", "b"], confusion: evaluation.confusion });
});
