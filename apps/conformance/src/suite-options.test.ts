import { expect, test } from "vitest";
import { modelBuilders } from "./networks.js";
import type { Options } from "./options.js";
import { suiteOptions } from "./suite-options.js";

const networksOf = async (given: Partial<Options>): Promise<string[]> => {
  const { models = {} } = await suiteOptions({ backend: "cpu", timeout: 60, ...given } as Options, {});
  return Object.keys(models);
};

test("one network stands for the bundled vectors, those of one's own are run on all, and one may choose", async () => {
  expect(await networksOf({})).toEqual(["resnet18"]);
  expect(await networksOf({ vectors: "elsewhere" })).toEqual(Object.keys(modelBuilders));
  expect(await networksOf({ vectors: "elsewhere", networks: ["vgg11"] })).toEqual(["vgg11"]);
  expect(await networksOf({ networks: ["alexnet", "vgg11"] })).toEqual(["alexnet", "vgg11"]);
});
