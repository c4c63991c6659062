import { bundledVectors, vectorFiles } from "@striate/conformance/node";
import type { Inputs } from "../inputs.js";
import type { Options } from "../options.js";
import { type PageRun, paths } from "../page/protocol.js";
import { bundlePage } from "./bundle.js";
import type { SiteFiles } from "./server.js";

const html = `<!doctype html>
<title>Striate conformance</title>
<link rel="icon" href="data:,">
<script type="module" src="/page.js"></script>
`;

/** All that a page of this run loads. @throws BrowserError if the scripts cannot be bundled. */
export const siteFiles = async (options: Options, inputs: Inputs): Promise<SiteFiles> => {
  const { images, trainingSteps, knownFailures = [] } = inputs;
  const vectors = await vectorFiles(options.vectors ?? bundledVectors);
  const run: PageRun = {
    options,
    isolation: options.isolation,
    knownFailures,
    vectors: vectors.map(({ name }) => name),
    images: images !== undefined,
    ...(trainingSteps !== undefined && { trainingSteps }),
  };
  const scripts = await bundlePage();
  return new Map<string, () => Uint8Array | string | Promise<Uint8Array>>([
    [paths.page, () => html],
    [paths.run, () => JSON.stringify(run)],
    ...[...scripts].map(([name, content]) => [`/${name}`, () => content] as const),
    ...vectors.map(({ name, read }) => [`${paths.vectors}${encodeURIComponent(name)}`, read] as const),
    ...(images
      ? ([
          [paths.images, () => images.images],
          [paths.labels, () => images.labels],
        ] as const)
      : []),
  ]);
};
