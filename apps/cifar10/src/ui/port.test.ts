import type { Tensor } from "@striate/core";
import { batches } from "@striate/data";
import { type Callback, fit } from "@striate/train";
import { describe, expect, test } from "vitest";
import type { Picture } from "../report/pictures.js";
import type { Change } from "./changes.js";
import { createUiPort, stopReason, type UiPort, type UiPortOptions } from "./port.js";
import type { UiMessage } from "./protocol.js";
import { smallSubject } from "./testing/simulate.js";

/** Trains for two epochs of 12 steps; `script` acts before steps, and hears what the port says. */
const train = async (
  script: {
    readonly before?: (step: number, port: UiPort) => void;
    readonly hear?: (message: UiMessage<Picture>, port: UiPort) => void;
  },
  options: Partial<UiPortOptions> = {},
) => {
  const subject = await smallSubject();
  const { net, optimizer, loss, training } = subject;
  const { backend } = net.parameters()[0] as Tensor;
  const messages: UiMessage<Picture>[] = [];
  const changes: Change[] = [];
  const port = createUiPort({
    ...subject,
    post: (message) => {
      messages.push(message);
      script.hear?.(message, port);
    },
    changed: (change) => changes.push(change),
    interval: 0,
    share: 1,
    ...options,
  });
  const steps: number[] = [];
  const watch: Callback = {
    beforeStep: ({ step }) => {
      for (const group of optimizer.groups) group.lr = 0.05;
      script.before?.(step, port);
      steps.push(step);
    },
  };
  const result = await fit({
    net,
    optimizer,
    loss,
    epochs: 2,
    batches: (epoch, start) => batches(training, { backend, size: 16, seed: 2, epoch, start }),
    callbacks: [watch, port.callback],
    signal: options.signal,
  });
  const weights = await Promise.all(net.parameters().map(async (p) => [...(await p.data())]));
  subject.dispose();
  return { result, messages, changes, weights, steps };
};

const statuses = (messages: readonly UiMessage<Picture>[]) =>
  messages.flatMap((message) => (message.type === "status" ? [message.status] : []));

test("pictures and pauses do not change a bit of the weights", async () => {
  const plain = await train({});
  const watched = await train({
    before: (step, port) => {
      port.request({ type: "snapshot", what: "filters" });
      port.request({ type: "snapshot", what: "gradients" });
      port.request({ type: "snapshot", what: "activations", example: step });
      port.request({ type: "snapshot", what: "predictions", from: step });
      if (step === 5) port.request({ type: "pause" });
    },
    hear: (message, port) => {
      if (message.type === "status" && message.status === "paused") port.request({ type: "resume" });
    },
  });
  expect(watched.result.steps).toBe(24);
  expect(watched.weights).toEqual(plain.weights);
  const taken = watched.messages.filter(({ type }) => type === "snapshot");
  expect(taken.length).toBe(4 * 24);
});

test("a pause lasts until it is over, and pictures come in it", async () => {
  const seen: string[] = [];
  const { result, messages } = await train({
    before: (step, port) => {
      seen.push(`step ${step}`);
      if (step === 3) port.request({ type: "pause" });
    },
    hear: (message, port) => {
      if (message.type === "status") seen.push(message.status);
      if (message.type === "snapshot") {
        seen.push("picture");
        port.request({ type: "resume" });
      }
      if (message.type === "status" && message.status === "paused")
        setTimeout(() => port.request({ type: "snapshot", what: "filters" }));
    },
  });
  expect(result.ended).toBe("finished");
  expect(seen.slice(3, 8)).toEqual(["step 3", "paused", "picture", "running", "step 4"]);
  expect(statuses(messages)).toEqual(["paused", "running"]);
});

describe("stop and keep", () => {
  test("ends the run after the step, with a reason", async () => {
    const { result, messages } = await train({
      before: (step, port) => {
        if (step === 4) port.request({ type: "stop" });
      },
    });
    expect(result).toMatchObject({ ended: "stopped", reason: stopReason, steps: 5 });
    expect(statuses(messages)).toEqual(["stopping"]);
  });

  test("also in a pause", async () => {
    const { result } = await train({
      before: (step, port) => {
        if (step === 4) port.request({ type: "pause" });
      },
      hear: (message, port) => {
        if (message.type === "status" && message.status === "paused") setTimeout(() => port.request({ type: "stop" }));
      },
    });
    expect(result).toMatchObject({ ended: "stopped", steps: 5 });
  });
});

test("the signal ends a pause", async () => {
  const controller = new AbortController();
  const { result } = await train(
    {
      before: (step, port) => {
        if (step === 4) port.request({ type: "pause" });
      },
      hear: (message) => {
        if (message.type === "status" && message.status === "paused") setTimeout(() => controller.abort());
      },
    },
    { signal: controller.signal },
  );
  expect(result).toMatchObject({ ended: "aborted", steps: 5 });
});

describe("changes", () => {
  const script = {
    before: (step: number, port: UiPort): void => {
      if (step === 6) port.request({ type: "change", lr: 0.01, momentum: 0.5 });
      if (step === 15) port.request({ type: "change", weightDecay: 0.1 });
    },
  };

  test("are recorded and told, and a run that makes them again comes to the same bits", async () => {
    const live = await train(script);
    expect(live.changes.map(({ step }) => step)).toEqual([6, 15]);
    const knobs = live.messages.flatMap((message) => (message.type === "knobs" ? [message.knobs] : []));
    expect(knobs[0]).toEqual({ lr: 0.05, momentum: 0.9, weightDecay: 5e-4 });
    expect(knobs[1]).toMatchObject({ momentum: 0.5, weightDecay: 5e-4 });
    expect(knobs[1]?.lr).toBeCloseTo(0.01, 12);
    const replayed = await train({}, { recorded: JSON.parse(JSON.stringify(live.changes)) });
    expect(replayed.weights).toEqual(live.weights);
    expect((await train({})).weights).not.toEqual(live.weights);
  });

  test("that make no sense are refused, and the run goes on", async () => {
    const { result, messages, changes } = await train({
      before: (step, port) => {
        if (step === 1) port.request({ type: "change", momentum: 2 });
        if (step === 2) port.request({ type: "snapshot", what: "filters", layer: "none" });
      },
    });
    expect(result.ended).toBe("finished");
    expect(changes).toEqual([]);
    expect(messages.filter(({ type }) => type === "refused")).toEqual([
      { type: "refused", request: "change", reason: "change: momentum is 2, expected 0 or more and less than 1" },
      { type: "refused", request: "filters", reason: "snapshot: the network has no none" },
    ]);
  });
});

test("pictures of all kinds together take no more than their share, but for ends of epochs", async () => {
  const { messages } = await train(
    {
      before: (_step, port) => {
        port.request({ type: "snapshot", what: "filters" });
        port.request({ type: "snapshot", what: "predictions" });
      },
    },
    { share: 1e-9 },
  );
  const steps = messages.flatMap((message) => (message.type === "snapshot" ? [message.snapshot.step] : []));
  expect(steps).toEqual([1, 12, 12, 24, 24]);
});

test("pictures of a kind come no faster than the interval", async () => {
  const { messages } = await train(
    { before: (_step, port) => port.request({ type: "snapshot", what: "filters" }) },
    { interval: 1e9 },
  );
  expect(messages.filter(({ type }) => type === "snapshot")).toHaveLength(1);
});
