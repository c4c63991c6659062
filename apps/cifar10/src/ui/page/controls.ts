import { element, setText } from "./dom.js";
import { decimal } from "./format.js";
import type { Panel } from "./panels.js";
import { send } from "./requests.js";
import type { RunState } from "./run-state.js";

const names = { lr: "learning rate", momentum: "momentum", weightDecay: "weight decay" } as const;
type Name = keyof typeof names;
const all = Object.keys(names) as Name[];

/** Changes what the optimizer has, from the next step on. */
export const createKnobs = (complain: (text: string) => void): Panel => {
  const inputs = new Map(
    all.map((name) => [
      name,
      element("input", { name, type: "number", min: "0", step: "any", inputMode: "decimal", autocomplete: "off" }),
    ]),
  );
  const rows = new Map(
    all.map((name) => [
      name,
      element("label", { hidden: true }, element("span", {}, names[name]), inputs.get(name) as HTMLElement),
    ]),
  );
  const button = element("button", { type: "submit" }, "Apply");
  const history = element("ul", { className: "changes" });
  const form: HTMLFormElement = element(
    "form",
    {
      onsubmit: (event: Event) => {
        event.preventDefault();
        const values = all.flatMap((name) => {
          const { value } = inputs.get(name) as HTMLInputElement;
          return value === "" ? [] : [[name, Number(value)] as const];
        });
        if (values.length === 0) return;
        send({ type: "change", ...Object.fromEntries(values) }).then(
          () => form.reset(),
          (error: Error) => complain(`The change was not taken: ${error.message}`),
        );
      },
    },
    ...rows.values(),
    button,
  );
  const root = element(
    "section",
    { className: "card knobs" },
    element("header", { className: "head" }, element("h2", {}, "Change while it runs")),
    form,
    element(
      "p",
      { className: "note" },
      "From the next step on; the schedule goes on under a new rate, scaled. Recorded, so that the run can be made again.",
    ),
    history,
  );
  let shownChanges = -1;
  return {
    root,
    update: (state: RunState) => {
      const { knobs, changes, step, status } = state;
      const over = status === "ended" || status === "stopping";
      button.disabled = over || knobs === undefined;
      for (const name of all) {
        const value = name === "lr" ? (step?.lr ?? knobs?.lr) : knobs?.[name];
        (rows.get(name) as HTMLElement).hidden = value === undefined;
        const input = inputs.get(name) as HTMLInputElement;
        input.disabled = over;
        input.placeholder = decimal(value);
      }
      if (changes.length === shownChanges) return;
      shownChanges = changes.length;
      history.replaceChildren(
        ...changes.map((change) => {
          const values = all.flatMap((name) =>
            change[name] === undefined ? [] : [`${names[name]} ${decimal(change[name])}`],
          );
          return element("li", {}, `after step ${change.step}: ${values.join(", ")}`);
        }),
      );
    },
  };
};

/** Pause, resume, stop. */
export const createButtons = (complain: (text: string) => void): Panel => {
  let paused = false;
  const ask = (request: Parameters<typeof send>[0]): void => {
    send(request).catch((error: Error) => complain(`Not done: ${error.message}`));
  };
  const pause = element("button", {
    type: "button",
    onclick: () => ask({ type: paused ? "resume" : "pause" }),
  });
  const sure: HTMLDialogElement = element(
    "dialog",
    { className: "sure" },
    element("h2", {}, "Stop the run?"),
    element("p", {}, "It ends after this step. The weights are kept and tested."),
    element(
      "div",
      { className: "buttons" },
      element("button", { type: "button", textContent: "Go on", onclick: () => sure.close() }),
      element("button", {
        type: "button",
        className: "danger",
        textContent: "Stop and keep",
        onclick: () => {
          sure.close();
          ask({ type: "stop" });
        },
      }),
    ),
  );
  const stop = element("button", {
    type: "button",
    className: "danger",
    textContent: "Stop and keep",
    onclick: () => sure.showModal(),
  });
  const root = element("div", { className: "buttons" }, pause, stop, sure);
  return {
    root,
    update: ({ status }) => {
      paused = status === "paused";
      setText(pause, paused ? "Resume" : "Pause");
      pause.className = paused ? "primary" : "";
      pause.disabled = status === "ended" || status === "stopping";
      stop.disabled = pause.disabled;
    },
  };
};
