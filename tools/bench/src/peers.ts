import { backendNames } from "@striate/backends";
import type { Peer } from "./peer.js";
import { striatePeer } from "./peers/striate.js";
import { tfjsPeer } from "./peers/tfjs.js";

/** All that can be timed. To add one: an adapter in peers/, and its line here. */
export const peers: readonly Peer[] = [
  ...backendNames.filter((name) => name !== "auto").map(striatePeer),
  tfjsPeer("tfjs:cpu", "cpu", "node"),
  tfjsPeer("tfjs:cpu-modules", "cpu", "modules"),
];
