import { CheckpointError, decodeSafetensors, encodeSafetensors, type HostTensor } from "@striate/checkpoint";
import { ArgumentError, randomWords } from "@striate/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noProgress } from "./callback.js";
import { type Checkpoint, checkpointWeights, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.js";
import type { HostState } from "./state.js";

const full = process.env["STRIATE_FULL"] === "1";

const sums = { steps: 2, skipped: 1, images: 16, loss: 0.1 + 0.2, correct: 9, seconds: 1 / 3 };
const progress = { epoch: 3, step: 97, batch: 2, images: 776, seconds: 2 / 3, loss: 1 / 7, sums };
const checkpoint: Checkpoint = {
  progress,
  configHash: "c0ffee",
  about: { run: { metrics: 1234, best: null } },
  states: new Map<string, HostState>([
    [
      "net",
      {
        tensors: new Map<string, HostTensor>([
          ["0.weight", { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, -0, Number.NaN, 1e-45, 3, 4) }],
          ["mask", { dtype: "BOOL", shape: [3], data: Uint8Array.of(1, 0, 1) }],
          ["1.num_batches_tracked", { dtype: "I32", shape: [], data: Int32Array.of(97) }],
          ["bytes", { dtype: "U8", shape: [1], data: Uint8Array.of(255) }],
          ["empty", { dtype: "F32", shape: [0], data: new Float32Array() }],
        ]),
        counters: new Map([["3.calls", 97]]),
        json: { frozen: ["0.weight"] },
      },
    ],
    [
      "optimizer",
      {
        tensors: new Map<string, HostTensor>([
          ["0.momentum", { dtype: "F64", shape: [1], data: Float64Array.of(0.1) }],
        ]),
        counters: new Map([["__proto__", 1]]),
        json: { optimizer: "sgd", groups: [{ lr: 0.1, nesterov: true }] },
      },
    ],
    ["extra/plateau", { tensors: new Map(), counters: new Map(), json: { best: null } }],
  ]),
};

describe("encodeCheckpoint and decodeCheckpoint", () => {
  test("give back what was there", async () => {
    expect(await decodeCheckpoint(await encodeCheckpoint(checkpoint))).toEqual(checkpoint);
  });

  test("numbers keep their bits", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0),
        fc.float32Array(),
        async (lr, data) => {
          const states = new Map<string, HostState>([
            [
              "net",
              {
                tensors: new Map([["w", { dtype: "F32" as const, shape: [data.length], data }]]),
                counters: new Map([["n", lr]]),
                json: { lr },
              },
            ],
          ]);
          const read = await decodeCheckpoint(await encodeCheckpoint({ progress: noProgress, states }));
          expect(read.states).toEqual(states);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("is a safetensors file whose last bytes are the SHA-256 of the others", async () => {
    const bytes = await encodeCheckpoint(checkpoint);
    const { tensors } = decodeSafetensors(bytes);
    expect([...tensors.keys()].slice(0, 2)).toEqual(["net/0.weight", "net/mask"]);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.subarray(0, -32)));
    expect(bytes.subarray(-32)).toEqual(digest);
    expect(tensors.get("sha256")?.data).toEqual(digest);
  });

  test("the weights alone", () => {
    expect(checkpointWeights(checkpoint)).toBe(checkpoint.states.get("net")?.tensors);
    expect(() => checkpointWeights({ ...checkpoint, states: new Map() })).toThrow(CheckpointError);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("%s is refused where JSON would lose it", async (value) => {
    const spoilt = (state: Partial<HostState>): Checkpoint => ({
      ...checkpoint,
      states: new Map([["net", { tensors: new Map(), counters: new Map(), json: {}, ...state }]]),
    });
    await expect(encodeCheckpoint(spoilt({ json: { lr: value } }))).rejects.toThrow(`lr is ${value}`);
    await expect(encodeCheckpoint(spoilt({ counters: new Map([["n", value]]) }))).rejects.toThrow(ArgumentError);
  });
});

describe("damage", () => {
  const damages = full ? 1000 : 200;
  test(`${damages} files with a flipped bit, and as many that were cut or grew: all detected`, async () => {
    const whole = await encodeCheckpoint(checkpoint);
    const refused = (bytes: Uint8Array<ArrayBuffer>): Promise<unknown> =>
      decodeCheckpoint(bytes).then(
        () => "believed",
        (error: unknown) => (error instanceof CheckpointError ? error.code : error),
      );
    const words = randomWords(1, 2, 3, 2 * damages);
    for (let i = 0; i < damages; i++) {
      const flipped = whole.slice();
      const bit = (words[2 * i] as number) % (8 * whole.length);
      (flipped[bit >> 3] as number) ^= 1 << (bit & 7);
      expect(await refused(flipped), `bit ${bit}`).toBe("checkpoint-corrupt");
      const length = (words[2 * i + 1] as number) % (whole.length + 64);
      if (length === whole.length) continue;
      const cut = new Uint8Array(length);
      cut.set(whole.subarray(0, length));
      expect(await refused(cut), `${length} bytes`).toBe("checkpoint-corrupt");
    }
  });

  /** A file with a sound checksum. */
  const sealed = async (metadata: Record<string, string>): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = encodeSafetensors([["sha256", { dtype: "U8", shape: [32], data: new Uint8Array(32) }]], metadata);
    bytes.set(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.subarray(0, -32))), bytes.length - 32);
    return bytes;
  };

  test("other weights are no checkpoint", async () => {
    const weights = encodeSafetensors([["w", { dtype: "F32", shape: [9], data: new Float32Array(9) }]]);
    await expect(decodeCheckpoint(weights)).rejects.toMatchObject({ code: "checkpoint-corrupt" });
    await expect(decodeCheckpoint(await sealed({}))).rejects.toThrow("no striate-checkpoint in its metadata");
  });

  test("another format version is not read", async () => {
    const bytes = await sealed({ "striate-checkpoint": JSON.stringify({ version: 2 }) });
    await expect(decodeCheckpoint(bytes)).rejects.toMatchObject({
      code: "checkpoint-unsupported",
      message: expect.stringContaining("format 2, expected 1"),
    });
  });
});
