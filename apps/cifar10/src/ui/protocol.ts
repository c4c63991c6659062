/** What goes between the page, the main thread that serves it, and the worker that trains. */
import { z } from "zod";

const layer = z.string().max(200).optional();
const index = z.int().nonnegative();
const rate = z.number().nonnegative();

/** What the page may ask for. The worker answers with a `UiMessage`; it may refuse. */
export const uiRequestSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("pause") }),
  z.strictObject({ type: z.literal("resume") }),
  /** Finish the step, keep the weights, end. */
  z.strictObject({ type: z.literal("stop") }),
  z
    .strictObject({
      type: z.literal("change"),
      lr: rate.optional(),
      momentum: rate.optional(),
      weightDecay: rate.optional(),
    })
    .refine(({ lr, momentum, weightDecay }) => (lr ?? momentum ?? weightDecay) !== undefined, {
      message: "expected at least one of lr, momentum, weightDecay",
    }),
  z.discriminatedUnion("what", [
    z.strictObject({ type: z.literal("snapshot"), what: z.literal("filters"), layer }),
    z.strictObject({ type: z.literal("snapshot"), what: z.literal("gradients"), layer }),
    z.strictObject({
      type: z.literal("snapshot"),
      what: z.literal("activations"),
      layer,
      /** Which of the example images; counted round and round. */
      example: index.optional(),
    }),
    z.strictObject({ type: z.literal("snapshot"), what: z.literal("predictions"), from: index.optional() }),
  ]),
]);

export type UiRequest = z.output<typeof uiRequestSchema>;
export type SnapshotRequest = Extract<UiRequest, { readonly type: "snapshot" }>;
export type SnapshotName = SnapshotRequest["what"];

/** Hyperparameters that can be changed now: those that the optimizer has. Of the largest parameter group. */
export interface Knobs {
  readonly lr: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
}

export type RunStatus = "running" | "paused" | "stopping";

/** Weights, or their gradient. */
export interface WeightsView<P> {
  readonly layer: string;
  /** That could be asked for. */
  readonly layers: readonly string[];
  readonly shape: readonly number[];
  readonly picture: P;
  readonly tiles: "filters" | "units" | "kernels" | "matrix";
  readonly shown: number;
  readonly of: number;
}

/** Sizes of a parameter and its gradient, as root mean squares. */
export interface GradientSize {
  readonly name: string;
  readonly weight: number;
  readonly gradient: number;
}

export interface Example<P> {
  /** In the set of examples. */
  readonly index: number;
  readonly label: number;
  readonly picture: P;
  /** The likeliest classes, the likeliest first. */
  readonly top: readonly (readonly [classIndex: number, probability: number])[];
}

/** A look into the network between two steps. `P` is a picture: `Picture` in the worker, a data URL on the page. */
export type Snapshot<P> = { readonly step: number } & (
  | ({ readonly what: "filters" } & WeightsView<P>)
  | ({ readonly what: "gradients"; readonly images: number; readonly sizes: readonly GradientSize[] } & WeightsView<P>)
  | {
      readonly what: "activations";
      readonly layer: string;
      readonly layers: readonly string[];
      readonly shape: readonly number[];
      readonly picture: P;
      readonly shown: number;
      readonly of: number;
      readonly example: Example<P>;
      /** Which pixels the loss depends on. */
      readonly saliency: P;
      /** How many examples there are. */
      readonly examples: number;
    }
  | { readonly what: "predictions"; readonly examples: readonly Example<P>[]; readonly count: number }
);

/** A validation or the test, without its images. */
export interface EvaluationView {
  /** Name of the set. */
  readonly split: string;
  /** Steps made. */
  readonly step: number;
  readonly classes: readonly string[];
  /** Images by label, then by predicted class. */
  readonly confusion: readonly (readonly number[])[];
}

/** An image of one cell of the confusion matrix. */
export interface CellImage {
  /** In the set that was evaluated. */
  readonly index: number;
  readonly label: number;
  readonly predicted: number;
}

/** A few images of every cell, so that the page can open it also when training has ended. */
export interface EvaluationImages extends EvaluationView {
  readonly cells: readonly CellImage[];
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Those of `cells`, one after the other, NCHW. */
  readonly images: Uint8Array;
}

/** What worker and page have in common. */
export type Notice =
  | { readonly type: "status"; readonly status: RunStatus }
  | { readonly type: "knobs"; readonly knobs: Knobs }
  /** A request that makes no sense for this run. */
  | { readonly type: "refused"; readonly request: string; readonly reason: string };

/** From the worker. */
export type UiMessage<P> =
  | Notice
  | { readonly type: "snapshot"; readonly snapshot: Snapshot<P> }
  | { readonly type: "evaluated"; readonly evaluation: EvaluationImages };

/** To the page, besides the metrics. */
export type PageMessage =
  | Notice
  | { readonly type: "snapshot"; readonly snapshot: Snapshot<string> }
  | { readonly type: "evaluated"; readonly evaluation: EvaluationView };

/** What the page gets for a cell of the confusion matrix. */
export interface CellView {
  readonly label: number;
  readonly predicted: number;
  readonly images: readonly { readonly index: number; readonly png: string }[];
}
