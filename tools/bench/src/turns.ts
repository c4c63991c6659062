/** Two kinds of turns of one program, one behind the other. */
export interface Turn {
  readonly kind: "with" | "without";
  /** Of the program's own unit in a second. */
  readonly speed: number;
}

/**
 * How many times as fast the program is with as without, by each turn that has two neighbours, which are of the other kind: their
 * mean stands for the turn's own time, so that what slows the machine down or speeds it up bit by bit cancels.
 */
export const turnRatios = (turns: readonly Turn[]): number[] =>
  turns.slice(1, -1).map(({ kind, speed }, i) => {
    const others = ((turns[i] as Turn).speed + (turns[i + 2] as Turn).speed) / 2;
    return kind === "with" ? speed / others : others / speed;
  });
