/** The live page's end in the worker that trains. */
import type { Optimizer } from "@striate/optim";
import type { Callback, Control } from "@striate/train";
import type { Picture } from "../report/pictures.js";
import { type Change, liveChanges } from "./changes.js";
import type { SnapshotName, SnapshotRequest, UiMessage, UiRequest } from "./protocol.js";
import { type Evaluated, evaluationImages, type Subject, takeSnapshot } from "./snapshots.js";

export interface UiPortOptions extends Subject {
  readonly optimizer: Optimizer;
  readonly post: (message: UiMessage<Picture>) => void;
  /** To be written down: with them the run can be made again. */
  readonly changed: (change: Change) => void;
  /** Changes of the part of the run before it was resumed. */
  readonly recorded?: readonly Change[];
  /** Ends a pause, besides the page. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds from one picture of a kind to the next. Default 2000. */
  readonly interval?: number;
  /** Of the time, how much pictures may take while training goes on. Default 0.01. */
  readonly share?: number;
}

export interface UiPort {
  /** A request of the page. Nothing happens before the step that is running has ended. */
  request(request: UiRequest): void;
  /** Goes behind what sets hyperparameters, and before what records them. */
  readonly callback: Callback;
  /** Shows the confusion matrix of a validation or of the test. */
  evaluated(evaluated: Evaluated): void;
}

/** The reason that a run ends with when the page's button is pressed. */
export const stopReason = "stopped on the live page";

export const createUiPort = (options: UiPortOptions): UiPort => {
  const { optimizer, post, changed, recorded = [], signal, interval = 2000, share = 0.01 } = options;
  const changes = liveChanges(optimizer, {
    recorded,
    changed: (change) => {
      changed(change);
      changesMade = true;
    },
  });
  const wanted = new Map<SnapshotName, SnapshotRequest>();
  const taken = new Map<SnapshotName, number>();
  /** Until then the last picture has used up the share. */
  let rested = Number.NEGATIVE_INFINITY;
  /** Once an epoch is not much, and the last pictures of a run shall be of its end. */
  let epochEnds = false;
  let changesMade = true;
  let paused = false;
  let stopping = false;
  let wake: () => void = () => {};

  const refuse = (request: string, error: unknown): void =>
    post({ type: "refused", request, reason: (error as Error).message });

  const setPaused = (value: boolean): void => {
    if (stopping || paused === value) return;
    paused = value;
    // A pause is told when it has begun.
    if (!paused) post({ type: "status", status: "running" });
  };

  const waitsFor = (what: SnapshotName): number =>
    Math.max(0, interval - (performance.now() - (taken.get(what) ?? Number.NEGATIVE_INFINITY)));

  /** The one that has waited longest of those whose time has come. In a pause nobody waits for anything else. */
  const due = (): SnapshotRequest | undefined =>
    paused || epochEnds || performance.now() >= rested
      ? [...wanted.values()].find(({ what }) => waitsFor(what) === 0)
      : undefined;

  const serve = async (step: number): Promise<void> => {
    for (let request = due(); request; request = due()) {
      wanted.delete(request.what);
      const begun = performance.now();
      try {
        post({ type: "snapshot", snapshot: await takeSnapshot(options, request, step) });
      } catch (error) {
        // A picture is never worth a run; a device that is lost tells the next step as well.
        refuse(request.what, error);
      }
      const now = performance.now();
      taken.set(request.what, now);
      rested = now + (now - begun) * (1 / share - 1);
    }
  };

  /** Until there is something to do in a pause. */
  const news = (): Promise<void> =>
    new Promise((resolve) => {
      const soonest = Math.min(...[...wanted.keys()].map(waitsFor));
      const timer = Number.isFinite(soonest) ? setTimeout(() => wake(), soonest) : undefined;
      wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", wake);
        wake = () => {};
        resolve();
      };
      signal?.addEventListener("abort", wake);
    });

  const interlude = async (step: number, control: Control): Promise<void> => {
    await serve(step);
    if (paused) post({ type: "status", status: "paused" });
    while (paused && !stopping && !signal?.aborted) {
      await news();
      await serve(step);
    }
    if (stopping) control.stop(stopReason);
  };

  return {
    request: (request) => {
      switch (request.type) {
        case "pause":
        case "resume":
          setPaused(request.type === "pause");
          break;
        case "stop":
          stopping = true;
          post({ type: "status", status: "stopping" });
          break;
        case "change": {
          const { type: _, ...values } = request;
          try {
            changes.request(values);
          } catch (error) {
            refuse("change", error);
          }
          break;
        }
        case "snapshot":
          wanted.set(request.what, request);
          break;
      }
      wake();
    },
    callback: {
      beforeStep: (position, control) => {
        changes.callback.beforeStep(position, control);
        if (!changesMade) return;
        changesMade = false;
        post({ type: "knobs", knobs: changes.knobs() });
      },
      afterStep: changes.callback.afterStep,
      between: ({ step, epochEnd }, control) => {
        epochEnds = epochEnd;
        return paused || stopping || due() ? () => interlude(step, control) : undefined;
      },
    },
    evaluated: (evaluated) => post({ type: "evaluated", evaluation: evaluationImages(evaluated) }),
  };
};
