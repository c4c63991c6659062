import type { Tensor } from "@striate/core";

/**
 * What a network gives: logits [N, classes]. In training mode a network with auxiliary classifiers gives theirs too,
 * in the order of the network, each [N, classes]; in evaluation every network gives plain logits.
 */
export type Output = Tensor | { readonly logits: Tensor; readonly auxiliary: readonly Tensor[] };

/** The main classifier's. */
export const logitsOf = (output: Output): Tensor => ("logits" in output ? output.logits : output);
