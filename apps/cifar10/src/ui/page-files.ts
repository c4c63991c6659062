/** Everything that the live page loads. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface PageFile {
  readonly type: string;
  readonly content: string;
}

/** By name, the page itself under the empty one. */
export type PageFiles = ReadonlyMap<string, PageFile>;

/** Of the folders: the compiled modules, the style sheets (the compiler copies none), uPlot. */
const modules = fileURLToPath(new URL("./page/", import.meta.url));
const sources = fileURLToPath(new URL("../../src/ui/page/", import.meta.url));
const uplot = join(dirname(createRequire(import.meta.url).resolve("uplot/package.json")), "dist");

/** So that the modules can import it by its name. */
const importMap = JSON.stringify({ imports: { uplot: "./uplot.js" } });

/** For the page's policy: the only script that stands in the page. */
export const importMapHash = `sha256-${createHash("sha256").update(importMap).digest("base64")}`;

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Striate</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="uplot.css">
<link rel="stylesheet" href="theme.css">
<link rel="stylesheet" href="page.css">
<script type="importmap">${importMap}</script>
<script type="module" src="page.js"></script>
</head>
<body>
<noscript>This page shows a run as it goes on; that takes scripts. The report of the run does without.</noscript>
</body>
</html>
`;

const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};

/** The page as it was built. */
export const pageFiles = async (folder = modules): Promise<PageFiles> => {
  const named: [string, string][] = [
    ["uplot.js", join(uplot, "uPlot.esm.js")],
    ["uplot.css", join(uplot, "uPlot.min.css")],
    ["theme.css", join(sources, "theme.css")],
    ["page.css", join(sources, "page.css")],
  ];
  for (const name of await readdir(folder)) if (extname(name) === ".js") named.push([name, join(folder, name)]);
  const files = await Promise.all(
    named.map(
      async ([name, path]): Promise<[string, PageFile]> => [
        name,
        { type: types[extname(name)] as string, content: await readFile(path, "utf8") },
      ],
    ),
  );
  return new Map([["", { type: "text/html; charset=utf-8", content: page }], ...files]);
};
