/** A curve in characters, for terminals. */
export interface PlotPoint {
  readonly x: number;
  readonly y: number;
}

export interface PlotOptions {
  readonly width: number;
  readonly height: number;
  /** A vertical line there. */
  readonly mark?: number | undefined;
  readonly xLabel: (x: number) => string;
  readonly yLabel: (y: number) => string;
}

/**
 * `height` rows of points, an axis and its two ends; x is drawn on a logarithmic axis. Points that are not finite are
 * left out.
 */
export const textPlot = (points: readonly PlotPoint[], options: PlotOptions): string => {
  const { width, height, mark, xLabel, yLabel } = options;
  const drawn = points.filter(({ x, y }) => x > 0 && Number.isFinite(y));
  if (drawn.length === 0) return "(nothing to draw)";
  const xs = drawn.map(({ x }) => Math.log(x));
  const ys = drawn.map(({ y }) => y);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const place = (value: number, from: number, to: number, cells: number): number =>
    to === from ? 0 : Math.round(((value - from) / (to - from)) * (cells - 1));
  const grid = Array.from({ length: height }, () => new Array<string>(width).fill(" "));
  if (mark !== undefined && mark > 0) {
    const column = place(Math.log(mark), left, right, width);
    for (const row of grid) if (column >= 0 && column < width) row[column] = "│";
  }
  for (const { x, y } of drawn) {
    const row = grid[height - 1 - place(y, low, high, height)] as string[];
    row[place(Math.log(x), left, right, width)] = "●";
  }
  const labels = [yLabel(high), yLabel(low)];
  const margin = Math.max(...labels.map((label) => label.length));
  const rows = grid.map((row, i) => {
    const label = i === 0 ? labels[0] : i === height - 1 ? labels[1] : "";
    return `${(label as string).padStart(margin)} ┤${row.join("").trimEnd()}`;
  });
  const ends = [xLabel(Math.exp(left)), xLabel(Math.exp(right))] as const;
  const gap = " ".repeat(Math.max(1, width - ends[0].length - ends[1].length));
  return [
    ...rows,
    `${" ".repeat(margin)} └${"─".repeat(width)}`,
    `${" ".repeat(margin + 2)}${ends[0]}${gap}${ends[1]}`,
  ].join("\n");
};
