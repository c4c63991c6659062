// PyTorch's golden vectors of torchvision's networks, on the backends that are bundled for Node; STRIATE_FULL=1 runs all.
import { createBackend } from "@striate/backends";
import { runConformance } from "@striate/conformance";
import { bundledVectors, loadVectors } from "@striate/conformance/node";
import { expect, test } from "vitest";
import { modelBuilders } from "./networks.js";

const full = process.env["STRIATE_FULL"] === "1";

const runs: readonly (readonly [backend: string, networks: readonly string[], dtypes: readonly string[]])[] = full
  ? [
      ["wasm", ["alexnet", "googlenet", "resnet18", "resnet50", "vgg11"], ["f32"]],
      ["cpu", ["alexnet", "googlenet", "resnet18", "resnet50", "vgg11"], ["f32", "f64"]],
    ]
  : [["wasm", ["googlenet", "resnet18"], ["f32"]]];

const cases = runs.flatMap(([backend, networks, dtypes]) =>
  networks.flatMap((network) => dtypes.map((dtype) => [network, dtype, backend] as const)),
);

test.each(cases)("%s in %s on %s agrees with PyTorch", { timeout: 600_000 }, async (network, dtype, name) => {
  const { results } = await runConformance({
    name,
    create: async () => (await createBackend(name)).backend,
    models: modelBuilders,
    vectors: await loadVectors(bundledVectors),
    groups: ["models"],
    filter: `models:${network}-*#${dtype}`,
  });
  expect(results).toEqual([expect.objectContaining({ group: "models", status: "passed" })]);
});
