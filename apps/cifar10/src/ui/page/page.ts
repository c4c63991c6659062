/** The live page: where a run stands, as long as it goes on, and how it ended. */
import type { Metric } from "../../report/metrics.js";
import type { PageMessage } from "../protocol.js";
import { chartKinds, createChart } from "./charts.js";
import { createConfusion } from "./confusion.js";
import { createButtons, createKnobs } from "./controls.js";
import { element, fill, setText } from "./dom.js";
import { decimal, duration, percent, roundPercent, whole } from "./format.js";
import { createPanels } from "./panels.js";
import { send } from "./requests.js";
import { type RunState, type RunTracker, trackRun } from "./run-state.js";

let tracker: RunTracker | undefined;
/** When the last metric came. */
let heard = performance.now();
let connected = false;

const complaint = element("p", { className: "complaint", hidden: true });
complaint.setAttribute("role", "alert");
let silence: ReturnType<typeof setTimeout> | undefined;
const complain = (text: string): void => {
  setText(complaint, text);
  complaint.hidden = false;
  clearTimeout(silence);
  silence = setTimeout(() => {
    complaint.hidden = true;
  }, 8000);
};

const title = element("h1", {}, "Striate");
const subtitle = element("p", { className: "subtitle" });
const pill = element("span", { className: "pill" });
const link = element("span", { className: "link" });
pill.setAttribute("role", "status");
const progress = element("progress", { max: 1, value: 0 });
progress.setAttribute("aria-label", "steps made");

/** A figure with its name. */
const tile = (
  name: string,
): { readonly root: HTMLElement; readonly value: HTMLElement; readonly more: HTMLElement } => {
  const value = element("dd");
  const more = element("small");
  return { root: element("div", { className: "tile" }, element("dt", {}, name), value, more), value, more };
};

const tiles = {
  epoch: tile("Epoch"),
  step: tile("Iteration"),
  elapsed: tile("Elapsed"),
  remaining: tile("Remaining"),
  speed: tile("Images/s"),
  rate: tile("Learning rate"),
  loss: tile("Training loss"),
  accuracy: tile("Training accuracy"),
  validation: tile("Validation accuracy"),
  test: tile("Test accuracy"),
};
tiles.test.root.hidden = true;

const buttons = createButtons(complain);
const knobs = createKnobs(complain);
const charts = chartKinds.map(createChart);
const panels = createPanels((request) => {
  send(request).catch((error: Error) => complain(`No picture: ${error.message}`));
});
const confusion = createConfusion(complain);
const facts = element("dl", { className: "facts" });
const ending = element("p", { className: "ending", hidden: true });

/** Powers of two steps; the leftmost smooths nothing. */
const smoothing = element("input", { type: "range", min: "0", max: "10", step: "1", value: "4" });
const smoothingText = element("output");
const windowOf = (): number => (smoothing.value === "0" ? 0 : 2 ** Number(smoothing.value));

document.body.replaceChildren(
  element(
    "header",
    { className: "top" },
    element("div", { className: "names" }, element("p", { className: "brand" }, "Striate"), title, subtitle),
    element("div", { className: "state" }, pill, link),
    buttons.root,
  ),
  progress,
  complaint,
  ending,
  element("dl", { className: "tiles" }, ...Object.values(tiles).map(({ root }) => root)),
  element(
    "main",
    {},
    element("div", { className: "wide" }, ...charts.slice(0, 2).map(({ root }) => root)),
    element(
      "div",
      { className: "side" },
      knobs.root,
      element(
        "section",
        { className: "card" },
        element("label", { className: "smoothing" }, element("span", {}, "Smoothing"), smoothing, smoothingText),
      ),
      ...charts.slice(2).map(({ root }) => root),
    ),
    element(
      "div",
      { className: "panels" },
      ...panels.map(({ root }) => root),
      confusion.root,
      element(
        "section",
        { className: "card about" },
        element("header", { className: "head" }, element("h2", {}, "This run")),
        facts,
      ),
    ),
  ),
);

const statusTexts: Readonly<Record<RunState["status"], string>> = {
  starting: "starting",
  running: "training",
  paused: "paused",
  stopping: "stopping",
  ended: "ended",
};

const last = <T>(list: readonly T[]): T | undefined => list.at(-1);

const showClock = (): void => {
  if (!tracker) return;
  const { status, time, start, step, secondsPerStep } = tracker.state;
  // Between metrics the time of this machine goes on, in a pause as well; the next metric puts it right.
  const since = connected && status === "running" ? (performance.now() - heard) / 1000 : 0;
  setText(tiles.elapsed.value, duration(time + since));
  const left = status === "ended" ? 0 : start && step ? (start.steps - step.step) * secondsPerStep : Number.NaN;
  setText(tiles.remaining.value, duration(left));
};

const showFigures = (state: RunState): void => {
  const { start, step, validations, tests, epochs } = state;
  document.title = `${step && start ? `${Math.floor((100 * step.step) / Math.max(1, start.steps))} % ` : ""}${state.title}`;
  setText(title, state.title);
  setText(subtitle, start ? `${start.data} · backend ${start.backend} · seed ${start.seed}` : "");
  setText(tiles.epoch.value, step ? whole(step.epoch + 1) : "–");
  setText(tiles.epoch.more, start ? `of ${whole(Math.ceil(start.epochs))}` : "");
  setText(tiles.step.value, whole(step?.step));
  setText(tiles.step.more, start ? `of ${whole(start.steps)}` : "");
  progress.value = step && start ? step.step / Math.max(1, start.steps) : 0;
  setText(tiles.speed.value, whole(step && state.secondsPerStep > 0 ? step.images / state.secondsPerStep : undefined));
  setText(tiles.rate.value, decimal(step?.lr));
  setText(tiles.loss.value, decimal(step?.loss));
  setText(tiles.accuracy.value, percent(step?.accuracy));
  const epoch = last(epochs);
  setText(tiles.loss.more, epoch ? `epoch ${epoch.epoch + 1}: ${decimal(epoch.trainLoss)}` : "");
  setText(tiles.accuracy.more, epoch ? `epoch ${epoch.epoch + 1}: ${roundPercent(epoch.trainAccuracy)}` : "");
  setText(tiles.validation.value, percent(last(validations)?.accuracy));
  const best = Math.max(...validations.map(({ accuracy }) => accuracy));
  setText(tiles.validation.more, validations.length > 0 ? `best ${percent(best)}` : "");
  const test = last(tests);
  tiles.test.root.hidden = !test;
  setText(tiles.test.value, percent(test?.accuracy));
  // Of the last weights and of those selected on validation, where they are two.
  const several = tests.length > 1 ? tests : [];
  setText(tiles.test.more, several.map(({ which, accuracy }) => `${which} ${percent(accuracy)}`).join(", "));
};

/** Steps that the curves were drawn with, and how many ends of epochs and validations. Undefined: they are to be drawn anew. */
let curvesAt: { readonly step: number; readonly marks: number } | undefined;
/** Share of new steps from which curves are drawn again: less moves what is there by a few pixels. */
const visible = 1 / 128;
const showCurves = (state: RunState): void => {
  const step = state.step?.step ?? 0;
  const marks = state.epochEnds.length + state.validations.length;
  // A run that went back to a checkpoint has fewer of them.
  const hasMoved = (at: number): boolean => step !== at && Math.abs(step - at) >= visible * step;
  if (curvesAt && marks === curvesAt.marks && !hasMoved(curvesAt.step)) return;
  curvesAt = { step, marks };
  for (const chart of charts) chart.update(state, windowOf());
};

const show = (state: RunState): void => {
  showFigures(state);
  showClock();
  pill.dataset["status"] = state.status;
  setText(pill, statusTexts[state.status]);
  const { end } = state;
  ending.hidden = !end;
  if (end) setText(ending, `Training ${end.ended}${end.reason ? `: ${end.reason}` : ""}.`);
  setText(smoothingText, windowOf() === 0 ? "off" : `${windowOf()} steps`);
  showCurves(state);
  for (const panel of [buttons, knobs, ...panels, confusion]) panel.update(state);
};

/**
 * Milliseconds from a drawing to the next for new steps and the clock. The page often stands on the machine that trains, and what it
 * takes of one core all threads wait for: a drawing, of a single digit too, is some 75 ms in all processes of a browser.
 */
const pace = 5000;
let later: ReturnType<typeof setTimeout> | undefined;

let waiting = false;
/** What comes together is drawn once; a page that nobody sees draws nothing. */
const draw = (): void => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (!tracker) return;
    show(tracker.state);
    clearTimeout(later);
    if (tracker.state.status !== "ended") later = setTimeout(draw, pace);
  });
};
/** The curves too, however little is new. */
const drawAll = (): void => {
  curvesAt = undefined;
  draw();
};

const showConnection = (now: boolean): void => {
  connected = now;
  link.dataset["connected"] = `${now}`;
  const over = tracker?.state.status === "ended";
  setText(link, now ? "live" : over ? "the program has ended" : "reconnecting …");
};

const source = new EventSource("events");
const on = <T>(event: string, hear: (data: T) => void): void =>
  source.addEventListener(event, ({ data }) => hear(JSON.parse(data) as T));

source.onopen = () => showConnection(true);
source.onerror = () => {
  // Nothing comes after the end, and the server may be gone for good.
  if (tracker?.state.status === "ended") source.close();
  showConnection(false);
};
on<RunState>("state", (state) => {
  tracker = trackRun(state);
  heard = performance.now();
  fill(facts, ...state.facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  drawAll();
});
on<Metric[]>("metrics", (metrics) => {
  for (const metric of metrics) tracker?.metric(metric);
  heard = performance.now();
  // Nothing else draws what came last.
  if (tracker?.state.status === "ended") drawAll();
});
on<PageMessage>("message", (message) => {
  tracker?.message(message);
  if (message.type === "refused") complain(message.reason);
  if (message.type === "status") drawAll();
  else draw();
});

smoothing.oninput = drawAll;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const chart of charts) chart.restyle();
  drawAll();
});
