import type { Optimizer, PlateauState } from "@striate/optim";
import { reduceLrOnPlateau } from "@striate/optim";
import type { Callback, Stateful } from "@striate/train";
import type { ScheduleConfig } from "../config/schema.js";

/** Lowers the rates of all groups alike when the validation loss no longer falls. */
export const plateau = (
  optimizer: Pick<Optimizer, "groups">,
  { factor, patience, threshold, cooldown, minLr }: Extract<ScheduleConfig, { name: "plateau" }>,
): Callback & Stateful => {
  const rates = optimizer.groups.map(({ lr }) => lr);
  const largest = Math.max(...rates);
  const rule = reduceLrOnPlateau({ factor, patience, threshold, cooldown, minLr });
  let state: PlateauState = rule.init(largest);
  return {
    beforeStep: () => {
      optimizer.groups.forEach((group, i) => {
        group.lr = (rates[i] as number) * (state.lr / largest);
      });
    },
    onValidation: ({ loss }) => {
      state = rule.update(state, loss);
    },
    stateDict: () => ({ tensors: new Map(), counters: new Map(), plateau: state }),
    loadStateDict: (saved) => {
      state = (saved as { plateau?: PlateauState }).plateau ?? rule.init(largest);
    },
  };
};
