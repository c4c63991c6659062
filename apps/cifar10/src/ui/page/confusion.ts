import { element, fill, setText } from "./dom.js";
import { percent, whole } from "./format.js";
import type { Panel } from "./panels.js";
import { fetchCell } from "./requests.js";
import type { RunState } from "./run-state.js";

/** Depth of colour, 0 to 10. */
const heat = (count: number, all: number): number => (all === 0 || count === 0 ? 0 : Math.ceil((10 * count) / all));

/** The confusion matrix of the last evaluation; each cell opens some of its images. */
export const createConfusion = (complain: (text: string) => void): Panel => {
  const when = element("span", { className: "when" });
  const body = element(
    "div",
    { className: "scroll" },
    element("p", { className: "note" }, "Comes with the first validation, or with the test at the end."),
  );
  const dialogTitle = element("h2");
  const pictures = element("div", { className: "cell-images" });
  const dialog: HTMLDialogElement = element(
    "dialog",
    {},
    element(
      "header",
      { className: "head" },
      dialogTitle,
      element("button", { type: "button", textContent: "Close", onclick: () => dialog.close() }),
    ),
    pictures,
  );
  // A click beside the box, which its content fills, is one on the dialog itself.
  dialog.onclick = ({ target }) => {
    if (target === dialog) dialog.close();
  };
  const root = element(
    "section",
    { className: "card panel confusion-panel" },
    element("header", { className: "head" }, element("h2", {}, "Confusion matrix"), when),
    body,
    dialog,
  );

  const open = async (label: number, predicted: number, classes: readonly string[], count: number): Promise<void> => {
    try {
      const { images } = await fetchCell(label, predicted);
      setText(
        dialogTitle,
        label === predicted ? `${classes[label]}, recognised` : `${classes[label]}, taken for ${classes[predicted]}`,
      );
      fill(
        pictures,
        element(
          "p",
          { className: "note" },
          `${images.length === count ? "All" : `The first ${images.length} of`} ${count}`,
        ),
        ...images.map(({ index, png }) =>
          element("img", { src: png, alt: `image ${index}`, title: `image ${index}`, className: "pixels" }),
        ),
      );
      dialog.showModal();
    } catch (error) {
      complain(`The images cannot be fetched: ${(error as Error).message}`);
    }
  };

  const table = ({ classes, confusion }: NonNullable<RunState["evaluation"]>): HTMLElement =>
    element(
      "table",
      { className: "confusion" },
      element(
        "thead",
        {},
        element("tr", {}, element("th", {}, "label"), ...classes.map((name) => element("th", {}, name))),
      ),
      element(
        "tbody",
        {},
        ...confusion.map((row, label) => {
          const all = row.reduce((a, b) => a + b, 0);
          return element(
            "tr",
            {},
            element("th", {}, classes[label]),
            ...row.map((count, predicted) => {
              const said = `${whole(count)} of ${classes[label]} taken for ${classes[predicted]}`;
              const button = element(
                "button",
                { type: "button", title: said, onclick: () => open(label, predicted, classes, count) },
                `${count}`,
              );
              button.disabled = count === 0;
              return element(
                "td",
                { className: `${label === predicted ? "right" : "wrong"} h${heat(count, all)}` },
                button,
              );
            }),
          );
        }),
      ),
    );

  let shown: RunState["evaluation"];
  return {
    root,
    update: ({ evaluation }) => {
      if (!evaluation || evaluation === shown) return;
      shown = evaluation;
      const { split, step, confusion } = evaluation;
      const images = confusion.flat().reduce((a, b) => a + b, 0);
      const correct = confusion.reduce((sum, row, c) => sum + (row[c] as number), 0);
      setText(
        when,
        `${split}, after step ${step}: ${whole(correct)} of ${whole(images)}, ${percent(correct / images)}`,
      );
      fill(body, table(evaluation));
    },
  };
};
