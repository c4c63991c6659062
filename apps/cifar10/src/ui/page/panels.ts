/** Looks into the network: each panel asks for its picture while somebody can see it. */
import type { Example, Snapshot, SnapshotName, SnapshotRequest, WeightsView } from "../protocol.js";
import { element, fill, setText } from "./dom.js";
import { decimal, probability } from "./format.js";
import type { RunState } from "./run-state.js";

export interface Panel {
  readonly root: HTMLElement;
  update(state: RunState): void;
}

/** Asks for a picture, or says why it cannot. */
export type Ask = (request: SnapshotRequest) => void;

/** Milliseconds between pictures; the worker has a limit of its own. */
const pace = 4000;
/** Milliseconds after which a picture that has not come is asked for again: it was refused, or training takes its time. */
const patience = 60_000;

type SnapshotOf<N extends SnapshotName> = Extract<Snapshot<string>, { readonly what: N }>;

interface Kind<N extends SnapshotName> {
  readonly what: N;
  readonly title: string;
  /** What it asks for: `layer` and `place` are as set on the panel. */
  readonly request: (layer: string | undefined, place: number) => SnapshotRequest;
  /** Names for the list of layers. */
  readonly layers?: (snapshot: SnapshotOf<N>) => { readonly layer: string; readonly layers: readonly string[] };
  /** How far the buttons go, and where they turn round. */
  readonly places?: { readonly stride: number; readonly count: (snapshot: SnapshotOf<N>) => number };
  readonly show: (snapshot: SnapshotOf<N>, classes: readonly string[]) => readonly HTMLElement[];
}

const image = (src: string, alt: string, className = "pixels"): HTMLImageElement =>
  element("img", { src, alt, className });

const tilesOf = {
  filters: "filters in colour; grey is zero",
  units: "units as images; grey is zero",
  kernels: "a row for each filter; red is positive, blue negative",
  matrix: "red is positive, blue negative",
} as const;

const caption = (text: string): HTMLElement => element("p", { className: "note" }, text);

const shownOf = (shown: number, of: number): string => (shown < of ? `, ${shown} of ${of} shown` : "");

const weights = ({ picture, shape, tiles, shown, of, layer }: WeightsView<string>, what: string): HTMLElement[] => [
  image(picture, `${what} of ${layer}`, "pixels fit"),
  caption(`[${shape.join(", ")}]${shownOf(shown, of)}: ${tilesOf[tiles]}.`),
];

const exampleView = ({ label, picture, top, index }: Example<string>, classes: readonly string[]): HTMLElement => {
  const name = (c: number): string => classes[c] ?? `class ${c}`;
  return element(
    "figure",
    { className: "example" },
    image(picture, `example ${index}: ${name(label)}`),
    element(
      "figcaption",
      {},
      element("b", {}, name(label)),
      ...top.map(([c, share]) => {
        const bar = element("div", { className: `guess ${c === label ? "right" : "wrong"}` });
        bar.style.setProperty("--share", `${share}`);
        bar.append(element("span", {}, name(c)), element("span", {}, probability(share)));
        return bar;
      }),
    ),
  );
};

const sizesTable = ({ sizes }: SnapshotOf<"gradients">): HTMLElement =>
  element(
    "div",
    { className: "scroll sizes" },
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element("tr", {}, ...["parameter", "gradient", "gradient / weight"].map((text) => element("th", {}, text))),
      ),
      element(
        "tbody",
        {},
        ...sizes.map(({ name, weight, gradient }) =>
          element(
            "tr",
            {},
            element("th", {}, name),
            element("td", {}, decimal(gradient)),
            element("td", {}, decimal(weight > 0 ? gradient / weight : null)),
          ),
        ),
      ),
    ),
  );

const define = <N extends SnapshotName>(kind: Kind<N>): Kind<N> => kind;

const kinds = {
  filters: define({
    what: "filters",
    title: "Filters",
    request: (layer) => ({ type: "snapshot", what: "filters", ...(layer !== undefined && { layer }) }),
    layers: ({ layer, layers }) => ({ layer, layers }),
    show: (snapshot) => weights(snapshot, "weights"),
  }),
  gradients: define({
    what: "gradients",
    title: "Gradients",
    request: (layer) => ({ type: "snapshot", what: "gradients", ...(layer !== undefined && { layer }) }),
    layers: ({ layer, layers }) => ({ layer, layers }),
    show: (snapshot) => [
      ...weights(snapshot, "gradient"),
      sizesTable(snapshot),
      caption(`Of the loss over ${snapshot.images} training images; sizes are root mean squares.`),
    ],
  }),
  activations: define({
    what: "activations",
    title: "Activations",
    request: (layer, place) => ({
      type: "snapshot",
      what: "activations",
      example: place,
      ...(layer !== undefined && { layer }),
    }),
    layers: ({ layer, layers }) => ({ layer, layers }),
    places: { stride: 1, count: ({ examples }) => examples },
    show: ({ example, saliency, picture, shape, shown, of, layer }, classes) => [
      element(
        "div",
        { className: "input" },
        exampleView(example, classes),
        element("figure", { className: "saliency" }, image(saliency, "saliency"), caption("what the loss looks at")),
      ),
      image(picture, `activations of ${layer}`, "pixels fit"),
      caption(`[${shape.join(", ")}]${shownOf(shown, of)}; each map from its lowest to its highest value.`),
    ],
  }),
  predictions: define({
    what: "predictions",
    title: "Predictions",
    request: (_layer, place) => ({ type: "snapshot", what: "predictions", from: place }),
    places: { stride: 12, count: ({ count }) => count },
    show: ({ examples }, classes) => [
      element("div", { className: "examples" }, ...examples.map((example) => exampleView(example, classes))),
    ],
  }),
} as const;

const createPanel = <N extends SnapshotName>(kind: Kind<N>, ask: Ask): Panel => {
  const { what, title, places } = kind;
  const body = element("div", { className: "look" }, caption("The picture comes after the next step."));
  const when = element("span", { className: "when" });
  const select = element("select", { hidden: true });
  select.setAttribute("aria-label", `layer of ${title}`);
  const step = (by: number, text: string): HTMLButtonElement =>
    element("button", { type: "button", textContent: text, hidden: !places, onclick: () => move(by) });
  const root = element(
    "section",
    { className: `card panel ${what}` },
    element("header", { className: "head" }, element("h2", {}, title), select, step(-1, "‹"), step(1, "›"), when),
    body,
  );
  for (const [button, name] of [...root.querySelectorAll("button")].map(
    (b, i) => [b, i ? "next" : "previous"] as const,
  ))
    button.setAttribute("aria-label", `${name} of ${title}`);

  let layer: string | undefined;
  let place = 0;
  let shown: SnapshotOf<N> | undefined;
  let state: RunState | undefined;
  let visible = false;
  let asked = { question: "", step: 0, at: 0, answered: true };

  const refresh = (): void => {
    if (!state || !visible || document.hidden) return;
    if (state.status !== "running" && state.status !== "paused") return;
    const request = kind.request(layer, place);
    const question = JSON.stringify(request);
    const step = state.step?.step ?? 0;
    const now = performance.now();
    // In a pause the same question has the same answer; each takes of the time that is for training.
    const known = asked.answered ? asked.step === step : now - asked.at < patience;
    if (known && asked.question === question) return;
    asked = { question, step, at: now, answered: false };
    ask(request);
  };

  const move = (by: number): void => {
    const count = shown && places ? places.count(shown) : 1;
    const stride = places?.stride ?? 1;
    place = (((place + by * stride) % count) + count) % count;
    refresh();
  };

  select.onchange = () => {
    layer = select.value;
    refresh();
  };
  new IntersectionObserver((entries) => {
    visible = entries.at(-1)?.isIntersecting === true;
    refresh();
  }).observe(root);
  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, pace);

  const show = (snapshot: SnapshotOf<N>): void => {
    shown = snapshot;
    asked.answered = true;
    setText(when, `after step ${snapshot.step}`);
    const named = kind.layers?.(snapshot);
    if (named) {
      if (select.options.length !== named.layers.length) {
        fill(select, ...named.layers.map((name) => element("option", { value: name }, name)));
        select.hidden = false;
      }
      if (document.activeElement !== select) select.value = layer ?? named.layer;
    }
    fill(body, ...kind.show(snapshot, state?.start?.classes ?? []));
  };

  return {
    root,
    update: (now) => {
      const first = state === undefined || state.step === undefined;
      // Behind a lost connection nobody may know of the question.
      if (now !== state) asked.question = "";
      state = now;
      const snapshot = now.snapshots[what] as SnapshotOf<N> | undefined;
      if (snapshot && snapshot !== shown) show(snapshot);
      if (first) refresh();
    },
  };
};

export const createPanels = (ask: Ask): Panel[] => [
  createPanel(kinds.predictions, ask),
  createPanel(kinds.filters, ask),
  createPanel(kinds.activations, ask),
  createPanel(kinds.gradients, ask),
];
