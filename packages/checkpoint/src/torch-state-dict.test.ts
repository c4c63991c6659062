import { ArgumentError } from "@striate/core";
import { describe, expect, test } from "vitest";
import type { HostTensor } from "./host-tensor.js";
import { PickledName } from "./pickle.js";
import { TorchStorage, type TorchValue } from "./torch-pickle.js";
import { torchStateDict } from "./torch-state-dict.js";

const tensor: HostTensor = { dtype: "F32", shape: [1], data: Float32Array.of(1) };
const dict = (object: Record<string, TorchValue>): Map<string, TorchValue> => new Map(Object.entries(object));
const state = dict({ "a.weight": tensor });

describe("torchStateDict", () => {
  test("the checkpoint itself, empty or not", () => {
    expect(torchStateDict(state)).toBe(state);
    expect(torchStateDict(new Map())).toEqual(new Map());
  });

  test("the only dict of tensors in it, whatever its name", () => {
    expect(torchStateDict(dict({ epoch: 3, net: state, none: new Map(), optimizer: dict({ state: state }) }))).toBe(
      state,
    );
  });

  test("a dict under thousands of keys is looked at once", () => {
    let looked = 0;
    class Watched extends Map<string, TorchValue> {
      override [Symbol.iterator](): MapIterator<[string, TorchValue]> {
        looked++;
        return super[Symbol.iterator]();
      }
    }
    const shared = new Watched(state);
    const checkpoint = new Map(Array.from({ length: 5000 }, (_, i) => [`${i}`, shared]));
    expect(() => torchStateDict(checkpoint)).toThrow(/one of "0", "1", .*"9", …$/);
    expect(looked).toBe(1);
  });

  test("by key, by a path of keys", () => {
    const checkpoint = dict({ model: state, ema: dict({ shadow: state }) });
    expect(torchStateDict(checkpoint, "model")).toBe(state);
    expect(torchStateDict(checkpoint, ["ema", "shadow"])).toBe(state);
  });

  test.each<[string, TorchValue, string | undefined, string]>([
    ["several", dict({ model: state, ema: state }), undefined, 'give key, one of "model", "ema"'],
    ["none", dict({ epoch: 3, args: dict({}) }), undefined, 'holds no dict of tensors by name; it has "epoch", "args"'],
    ["a list", [tensor], undefined, "it is no dict"],
    ["a dict with numbers", dict({ a: tensor, b: 3 }), undefined, 'it has "a", "b"'],
    ["a dict by numbers", new Map([[0, tensor]]), undefined, 'it has "0"'],
    ["a bare storage", dict({ a: new TorchStorage("0", "F32", 4) }), undefined, "no dict of tensors"],
    ["a dtype", dict({ a: new PickledName("torch.float32") }), undefined, "no dict of tensors"],
    ["a wrong key", dict({ model: state }), "net", 'has no "net"; it has "model"'],
    ["a key of something else", dict({ epoch: 3 }), "epoch", '"epoch" is no dict of tensors by name; it is no dict'],
    ["a key in no dict", [], "a", 'has no "a"; it is no dict'],
  ])("refuses %s", (_, checkpoint, key, message) => {
    expect(() => torchStateDict(checkpoint, key)).toThrow(ArgumentError);
    expect(() => torchStateDict(checkpoint, key)).toThrow(message);
  });
});
