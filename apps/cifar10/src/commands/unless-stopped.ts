import type { Exit } from "../exit-codes.js";
import type { CommandContext } from "./command.js";

/** What there is to say of a training that was stopped before it had a folder. */
export const stoppedBefore = "stopped before training; nothing is saved";

/** `work`; one that rejects with the reason of the signal has been stopped, which is no failure: it says `text` then. */
export const unlessStopped = async (
  { reporter, signal }: Pick<CommandContext, "reporter" | "signal">,
  work: () => Promise<Exit>,
  text = "stopped",
): Promise<Exit> => {
  try {
    return await work();
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    reporter.event({ event: "interrupted" }, () => text);
    return "ok";
  }
};
