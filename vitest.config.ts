import { defineConfig } from "vitest/config";

// Workspace packages resolve to their TypeScript sources: tests need no build.
const conditions = ["striate-source"];

/** Nothing there keeps state in a module or in the process: their files share workers, and what those have imported. */
const pure = [
  ...["backend-cpu", "conformance", "core", "data", "matlab", "models", "nn", "optim", "visualize"].map(
    (name) => `packages/${name}`,
  ),
  "tools/backends",
].map((folder) => `${folder}/src/**/*.test.ts`);

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    environment: "node",
    testTimeout: 30_000,
    projects: [
      { extends: true, test: { name: "pure", include: pure, isolate: false } },
      {
        extends: true,
        test: { name: "isolated", include: ["{packages,apps,tools}/*/src/**/*.test.ts"], exclude: pure },
      },
    ],
  },
});
