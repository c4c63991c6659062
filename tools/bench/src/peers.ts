import { backendNames, wasmTiles } from "@striate/backends";
import type { Peer } from "./peer.js";
import { jaxPeer } from "./peers/jax.js";
import { striatePeer, striateWasmPeer } from "./peers/striate.js";
import { tfjsPeer } from "./peers/tfjs.js";
import { torchIsHere, torchPeer } from "./peers/torch.js";

/** All that can be timed. To add one: an adapter in peers/, and its line here. */
export const peers: readonly Peer[] = [
  striateWasmPeer(),
  striateWasmPeer(1),
  striateWasmPeer(2),
  ...[undefined, 1].flatMap((threads) => wasmTiles.map((tile) => striateWasmPeer(threads, tile))),
  ...backendNames.filter((name) => name !== "auto" && !/^wasm\b/.test(name)).map(striatePeer),
  tfjsPeer("tfjs:wasm", "wasm", "node"),
  tfjsPeer("tfjs:cpu", "cpu", "node"),
  tfjsPeer("tfjs:cpu-modules", "cpu", "modules"),
  jaxPeer("jax-js", 1),
  jaxPeer("jax-js-2", 2),
  torchPeer("torch"),
  torchPeer("torch-1", 1),
  torchPeer("torch-2", 2),
];

/** What runs where none is named: the slow ones would take most of the time. */
export const defaultPeers = (): string[] => [
  ...["striate:wasm", "striate:wasm-1", "tfjs:wasm", "jax-js"],
  ...(torchIsHere() ? ["torch"] : []),
];
