// Which package may import which. Read by `npm test`; docs/decisions/0020-tooling.md says why a tool checks it.

/** A backend sees the authors' entry only. */
const backend = ["packages/core/src/backend.ts"];
const core = ["packages/core/"];

/** What each package may import of the workspace, besides itself. Apps and tools may import all of it. */
const allowed = {
  "packages/core": [],
  "packages/backend-[^/]+": backend,
  "packages/nn": core,
  "packages/optim": core,
  "packages/checkpoint": core,
  "packages/data": [...core, "packages/checkpoint/"],
  "packages/models": [...core, "packages/nn/"],
  "packages/visualize": [...core, "packages/nn/"],
  "packages/train": [...core, "packages/nn/", "packages/optim/", "packages/data/", "packages/checkpoint/"],
  "packages/matlab": [...core, "packages/nn/", "packages/optim/", "packages/data/", "packages/train/"],
  "packages/conformance": [...core, "packages/optim/", "packages/data/"],
};
/** What joins tensors of Striate to those of tfjs needs more of core than a backend does. */
const interop = "^packages/backend-tfjs/src/interop\\.ts$";
const tests = "\\.test\\.ts$|/src/(testing|self-test)/";

/** @type {import("dependency-cruiser").IRegularForbiddenRuleType[]} */
const directions = Object.entries(allowed).map(([folder, targets]) => ({
  name: `${folder.replace("packages/", "").replace("-[^/]+", "-*")}-imports`,
  comment: "Imports point one way: core <- everything, backends see only core/backend, apps come last.",
  severity: "error",
  from: { path: `^(${folder})/`, pathNot: `${tests}|${interop}` },
  to: { path: "^(packages|apps|tools|examples)/", pathNot: ["^$1/", ...targets.map((target) => `^${target}`)] },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    ...directions,
    {
      name: "public-entries-only",
      comment: "Another package is imported by its name; its inner files are its own business.",
      severity: "error",
      from: { path: "^((?:packages|apps|tools)/[^/]+|examples)/" },
      to: { path: "^(packages|apps|tools)/", pathNot: "^$1/", dependencyTypes: ["local"] },
    },
    {
      name: "self-contained",
      comment: "These packages run in any JavaScript engine as they are: no dependency, no module of Node.",
      severity: "error",
      from: { path: "^packages/(core|backend-cpu|backend-wasm|backend-webgpu|nn|optim)/", pathNot: tests },
      to: { pathNot: "^packages/" },
    },
    {
      name: "node-apart",
      comment: "What needs Node stands under src/node or in a module named for it, so that the rest runs in a browser.",
      severity: "error",
      from: {
        path: "^packages/(data|checkpoint|train|conformance|models|visualize|matlab)/src/",
        pathNot: `${tests}|/node(/|\\.ts$|-)`,
      },
      to: { dependencyTypes: ["core"], dependencyTypesNot: ["type-only"], dynamic: false },
    },
    {
      name: "declared-dependencies-only",
      comment: "A published package lists what it imports at run time.",
      severity: "error",
      from: { path: "^packages/", pathNot: tests },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], dependencyTypesNot: ["npm-peer", "type-only"] },
    },
    {
      name: "resolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "no-cycles",
      comment: "Modules that need each other at run time depend on the order of loading. Cycles of types do no harm.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "/dist/|^tools/consumer/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["striate-source", "import", "node", "default", "types"],
      extensions: [".ts", ".mjs", ".js", ".json"],
    },
  },
};
