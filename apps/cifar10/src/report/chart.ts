/** Curves as inline SVG: sharp on paper, there without scripts, coloured by the style sheet. */
import { html } from "hono/html";

/** What `html` of Hono makes. */
export type Html = ReturnType<typeof html>;

export interface Dot {
  readonly x: number;
  readonly y: number;
  /** Where the figure is found again, if it stands in a file: see `cite`. */
  readonly from?: string;
  readonly title: string;
}

export interface Curve {
  readonly name: string;
  /** Of the palette in ui/page/theme.css: 0 to 7. */
  readonly color: number;
  /** In ascending x; null leaves a gap. */
  readonly line?: readonly (readonly [x: number, y: number | null])[];
  /** From the lowest to the highest of the values that share a place. */
  readonly band?: readonly (readonly [x: number, low: number | null, high: number | null])[];
  readonly dots?: readonly Dot[];
}

export interface ChartOptions {
  readonly title: string;
  readonly xName: string;
  /** Of the ticks of the vertical axis. */
  readonly format: (value: number) => string;
  /** Of those of the horizontal one. Default: as they are. */
  readonly xFormat?: (value: number) => string;
  readonly curves: readonly Curve[];
  /** Where epochs end. */
  readonly epochs?: readonly number[];
  /** What the axis has to hold besides the curves. */
  readonly yRange?: readonly [number, number];
}

const size = { width: 760, height: 300 };
const plot = { left: 72, right: 24, top: 14, bottom: 46 };
const plotWidth = size.width - plot.left - plot.right;
const plotHeight = size.height - plot.top - plot.bottom;

/** Round numbers within the range, about `wanted` of them. */
export const ticks = (from: number, to: number, wanted: number): number[] => {
  const rough = (to - from) / Math.max(1, wanted);
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) as number);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  // Multiplying by a power below one adds dirt in the last digits.
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
};

const isNumber = (value: number | null | undefined): value is number => Number.isFinite(value);

const extent = (values: readonly (number | null)[]): readonly [number, number] => {
  const finite = values.filter(isNumber);
  const low = finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (low > high) return [0, 1];
  return low === high ? [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2] : [low, high];
};

/** Tenths of a pixel are enough. */
const place = (value: number): string => `${Math.round(10 * value) / 10}`;

export const chart = ({
  title,
  xName,
  format,
  xFormat = (x) => `${x}`,
  curves,
  epochs = [],
  yRange,
}: ChartOptions): Html => {
  const xs = curves.flatMap(({ line = [], band = [], dots = [] }) => [
    ...line.map(([x]) => x),
    ...band.map(([x]) => x),
    ...dots.map(({ x }) => x),
  ]);
  const ys = curves.flatMap(({ line = [], band = [], dots = [] }) => [
    ...line.map(([, y]) => y),
    ...band.flatMap(([, low, high]) => [low, high]),
    ...dots.map(({ y }) => y),
  ]);
  const right =
    Math.max(
      xs.reduce((a, b) => Math.max(a, b), 0),
      epochs.at(-1) ?? 0,
    ) || 1;
  const [low, high] = extent([...ys, ...(yRange ?? [])]);
  const xOf = (x: number): number => plot.left + (plotWidth * x) / right;
  const yOf = (y: number): number => plot.top + plotHeight * (1 - (y - low) / (high - low));
  const point = (x: number, y: number): string => `${place(xOf(x))},${place(yOf(y))}`;

  const path = (line: NonNullable<Curve["line"]>): string => {
    let pen = "M";
    return line
      .map(([x, y]) => {
        if (!isNumber(y)) {
          pen = "M";
          return "";
        }
        const command = `${pen}${point(x, y)}`;
        pen = "L";
        return command;
      })
      .join("");
  };
  const area = (band: NonNullable<Curve["band"]>): string => {
    const known = band.filter((entry): entry is [number, number, number] => isNumber(entry[1]) && isNumber(entry[2]));
    if (known.length < 2) return "";
    const above = known.map(([x, , y]) => point(x, y));
    const below = known.map(([x, y]) => point(x, y)).reverse();
    return `M${[...above, ...below].join("L")}Z`;
  };
  const shades = epochs.flatMap((end, i) => {
    const start = epochs[i - 1] ?? 0;
    return i % 2 === 1 ? [[start, end] as const] : [];
  });

  return html`<figure class="chart">
<figcaption>${title}<span class="legend">${curves.map(({ name, color }) => html`<span class="key c${color}">${name}</span>`)}</span></figcaption>
<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${title}">
${shades.map(
  ([start, end]) =>
    html`<rect class="epoch" x="${place(xOf(start))}" y="${plot.top}" width="${place(xOf(end) - xOf(start))}" height="${plotHeight}"/>`,
)}
<g class="axis">
${ticks(low, high, 5).map(
  (y) =>
    html`<line x1="${plot.left}" x2="${size.width - plot.right}" y1="${place(yOf(y))}" y2="${place(yOf(y))}"/><text x="${plot.left - 8}" y="${place(yOf(y) + 4)}" text-anchor="end">${format(y)}</text>`,
)}
${ticks(0, right, 8).map(
  (x) =>
    html`<text x="${place(xOf(x))}" y="${size.height - plot.bottom + 18}" text-anchor="middle">${xFormat(x)}</text>`,
)}
<text x="${plot.left + plotWidth / 2}" y="${size.height - 4}" text-anchor="middle">${xName}</text>
</g>
${curves.map(
  ({ color, line = [], band = [], dots = [] }) => html`<g class="c${color}">
${band.length > 0 ? html`<path class="band" d="${area(band)}"/>` : ""}
${line.length > 0 ? html`<path class="line" d="${path(line)}"/>` : ""}
${dots
  .filter(({ y }) => isNumber(y))
  .map(
    ({ x, y, from, title: said }) =>
      html`<circle cx="${place(xOf(x))}" cy="${place(yOf(y))}" r="${dots.length > 60 ? 2 : 3.5}"${from === undefined ? "" : html` data-from="${from}" data-value="${y}"`}><title>${said}</title></circle>`,
  )}
</g>`,
)}
</svg>
</figure>`;
};
