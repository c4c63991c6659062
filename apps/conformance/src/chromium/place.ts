import { findChromium, launchChromium, softwareGpu } from "@striate/chromium";
import type { Inputs } from "../inputs.js";
import type { Options } from "../options.js";
import type { OpenPlace } from "../places.js";
import { openWorker } from "./browser.js";
import { serve } from "./server.js";
import { siteFiles } from "./site.js";

/** Workers in pages of headless Chromiums, one each. @throws BrowserError */
export const openChromium = async (options: Options, inputs: Inputs): Promise<OpenPlace> => {
  const program = await findChromium();
  const site = await serve(await siteFiles(options, inputs), { isolation: options.isolation });
  return {
    start: async () => openWorker(await launchChromium(program, softwareGpu), site.origin),
    close: site.close,
  };
};
