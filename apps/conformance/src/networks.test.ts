// PyTorch's golden vectors of torchvision's networks, on the backends that are bundled for Node; STRIATE_FULL=1 runs all.
import { createBackend } from "@striate/backends";
import { runConformance } from "@striate/conformance";
import { bundledVectors, loadVectors } from "@striate/conformance/node";
import { expect, test } from "vitest";
import { modelBuilders } from "./networks.js";

const full = process.env["STRIATE_FULL"] === "1";

const all = ["alexnet", "googlenet", "resnet18", "resnet50", "vgg11"];
const runs: readonly (readonly [backend: string, networks: readonly string[], dtypes: readonly string[]])[] = full
  ? [
      ["wasm", all, ["f32"]],
      ["cpu", all, ["f32", "f64"]],
      ["tfjs:wasm", all, ["f32"]],
      ["webgpu", all, ["f32"]],
    ]
  : [["wasm", ["googlenet", "resnet18"], ["f32"]]];

const cases = runs.flatMap(([backend, networks, dtypes]) =>
  networks.flatMap((network) => dtypes.map((dtype) => [network, dtype, backend] as const)),
);

/** A machine without an adapter leaves them out, unless it is said to have one. */
const hasAdapter =
  full &&
  (process.env["STRIATE_REQUIRE_WEBGPU"] === "1" ||
    (await createBackend("webgpu").then(
      ({ backend }) => {
        backend.dispose();
        return true;
      },
      () => false,
    )));

/** On a software adapter the largest take minutes. */
const timeout = 1_800_000;

for (const [network, dtype, name] of cases)
  test.skipIf(name === "webgpu" && !hasAdapter)(
    `${network} in ${dtype} on ${name} agrees with PyTorch`,
    { timeout: timeout + 60_000 },
    async () => {
      const { results } = await runConformance({
        name,
        create: async () => (await createBackend(name)).backend,
        models: modelBuilders,
        vectors: await loadVectors(bundledVectors),
        groups: ["models"],
        filter: `models:${network}-*#${dtype}`,
        timeout,
      });
      expect(results).toEqual([expect.objectContaining({ group: "models", status: "passed" })]);
    },
  );
