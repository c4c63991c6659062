import { loadVectorFiles } from "@striate/conformance";
import type { Inputs } from "../inputs.js";
import type { Options } from "../options.js";
import { type PageRun, paths } from "./protocol.js";

/** @throws Error for anything that the server does not have. */
const fetched = async (path: string): Promise<Response> => {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return response;
};

const bytesOf = async (path: string): Promise<Uint8Array> => new Uint8Array(await (await fetched(path)).arrayBuffer());

/** What the worker reads from the server. @throws Error where the page is not isolated as the run wants it. */
export const loadRun = async (): Promise<{ readonly options: Options; readonly inputs: Inputs }> => {
  const run = (await (await fetched(paths.run)).json()) as PageRun;
  const { options, isolation, knownFailures, trainingSteps, images } = run;
  if (globalThis.crossOriginIsolated !== isolation)
    throw new Error(`the page is ${isolation ? "not " : ""}cross-origin isolated, expected the opposite`);
  const vectors = await loadVectorFiles(
    run.vectors.map((name) => ({ name, read: () => bytesOf(`${paths.vectors}${encodeURIComponent(name)}`) })),
  );
  return {
    options,
    inputs: {
      vectors,
      knownFailures,
      ...(trainingSteps !== undefined && { trainingSteps }),
      ...(images && { images: { images: await bytesOf(paths.images), labels: await bytesOf(paths.labels) } }),
    },
  };
};
