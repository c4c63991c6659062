/** What the progress line shows, before it is cut to the width of the terminal. */
export interface ProgressLine {
  readonly label: string;
  /** From 0 to 1; undefined while nothing is known of the end. */
  readonly share: number | undefined;
  /** Figures; the most important come first. */
  readonly details: readonly string[];
  /** The time left or spent. */
  readonly time: string;
}

/** Seconds as 0:07, 12:34 or 1:02:03. */
export const clock = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (n: number): string => `${n}`.padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}:${pad(whole % 60)}`
    : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
};

/** 0.7243 as 72.4 %. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** 138940914 as 139 MB. */
export const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

/** Widths of the bar, the best first. */
const barWidths = [24, 12, 0];

const bar = (share: number, width: number): string => {
  const full = Math.round(share * width);
  return "█".repeat(full) + "░".repeat(width - full);
};

/**
 * The fullest form that fits into `width` columns: first the bar shrinks, then the least important figures go, the
 * label last.
 */
export const fitLine = ({ label, share, details, time }: ProgressLine, width: number): string => {
  const whole = share === undefined ? [] : [`${Math.floor(100 * share)}%`.padStart(4)];
  for (let count = details.length; count >= 0; count--)
    for (const barWidth of share === undefined ? [0] : barWidths) {
      const drawn = barWidth === 0 ? [] : [bar(share ?? 0, barWidth)];
      const line = [label, ...drawn, ...whole, ...details.slice(0, count), time].join("  ");
      if (line.length <= width) return line;
    }
  return [label, ...whole].join("  ").slice(0, width);
};
