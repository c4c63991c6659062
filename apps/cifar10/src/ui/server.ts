/** The live page of a run, for browsers on this machine. In the main thread: the worker's time is for training. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Metric } from "../report/metrics.js";
import { imagePicture, type Picture, toDataUrl } from "../report/pictures.js";
import { createApp } from "./app.js";
import { createHub, type Hub } from "./hub.js";
import { emptyState, type RunState, trackRun } from "./page/run-state.js";
import { type PageFiles, pageFiles } from "./page-files.js";
import type { CellView, EvaluationImages, PageMessage, Snapshot, UiMessage, UiRequest } from "./protocol.js";

export interface UiOptions {
  readonly title: string;
  /** What there is to know of the run: names and values, shown as they are. */
  readonly facts?: RunState["facts"];
  /** To be sent to the worker's port. */
  readonly onRequest: (request: UiRequest) => void;
  /** Default 0: any that is free. */
  readonly port?: number;
  readonly files?: PageFiles;
}

export interface Ui {
  /** With the secret that lets a browser in. */
  readonly url: string;
  /** Everything that goes into metrics.jsonl, in its order. */
  metric(metric: Metric): void;
  /** What the worker's port posts. */
  message(message: UiMessage<Picture>): void;
  /** Ends the pages' connections after their last news. */
  close(): Promise<void>;
}

/** The live page cannot be served. */
export class UiError extends Error {
  override readonly name = "UiError";
}

const host = "127.0.0.1";

/** Pictures as the page shows them. */
const encoded = (snapshot: Snapshot<Picture>): Snapshot<string> => {
  switch (snapshot.what) {
    case "filters":
    case "gradients":
      return { ...snapshot, picture: toDataUrl(snapshot.picture) };
    case "activations": {
      const { picture, saliency, example } = snapshot;
      return {
        ...snapshot,
        picture: toDataUrl(picture),
        saliency: toDataUrl(saliency),
        example: { ...example, picture: toDataUrl(example.picture) },
      };
    }
    case "predictions":
      return {
        ...snapshot,
        examples: snapshot.examples.map((example) => ({ ...example, picture: toDataUrl(example.picture) })),
      };
  }
};

const cellOf = (evaluation: EvaluationImages | undefined, label: number, predicted: number): CellView | undefined => {
  if (evaluation?.confusion[label]?.[predicted] === undefined) return undefined;
  const images = evaluation.cells.flatMap((cell, i) =>
    cell.label === label && cell.predicted === predicted
      ? [{ index: cell.index, png: toDataUrl(imagePicture(evaluation, i)) }]
      : [],
  );
  return { label, predicted, images };
};

/** For the page, which has the images asked for one by one. */
const toPage = (message: UiMessage<Picture>): PageMessage => {
  if (message.type === "snapshot") return { type: "snapshot", snapshot: encoded(message.snapshot) };
  if (message.type !== "evaluated") return message;
  const { split, step, classes, confusion } = message.evaluation;
  return { type: "evaluated", evaluation: { split, step, classes, confusion } };
};

const listen = async (server: Server, port: number): Promise<number> => {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    throw new UiError(`the live page cannot be served on port ${port}: ${(error as Error).message}`, { cause: error });
  }
  return (server.address() as AddressInfo).port;
};

/** Milliseconds that pages have to take their last news. */
const patience = 1000;

const shut = async (server: Server, hub: Hub): Promise<void> => {
  const closed = once(server, "close");
  hub.close();
  server.close();
  // Connections are kept for more requests; those that still bring news are not idle.
  const sweep = setInterval(() => server.closeIdleConnections(), 20);
  const force = setTimeout(() => server.closeAllConnections(), patience);
  await closed;
  clearInterval(sweep);
  clearTimeout(force);
};

/** @throws UiError if the port cannot be had */
export const openUi = async ({ title, facts = [], onRequest, port = 0, files }: UiOptions): Promise<Ui> => {
  const tracker = trackRun(emptyState(title, facts));
  const hub = createHub({ state: () => JSON.stringify(tracker.state) });
  let evaluation: EvaluationImages | undefined;
  let listening = 0;
  let closing: Promise<void> | undefined;
  const token = randomBytes(16).toString("hex");
  const app = createApp({
    token,
    hosts: () => [`${host}:${listening}`, `localhost:${listening}`],
    files: files ?? (await pageFiles()),
    hub,
    cell: (label, predicted) => cellOf(evaluation, label, predicted),
    onRequest,
  });
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  listening = await listen(server, port);
  return {
    url: `http://${host}:${listening}/${token}/`,
    metric: (metric) => {
      tracker.metric(metric);
      hub.metric(JSON.stringify(metric));
    },
    message: (message) => {
      if (message.type === "evaluated") evaluation = message.evaluation;
      const sent = toPage(message);
      tracker.message(sent);
      hub.message(JSON.stringify(sent));
    },
    close: () => {
      closing ??= shut(server, hub);
      return closing;
    },
  };
};
