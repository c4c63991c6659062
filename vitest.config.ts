import { defineConfig } from "vitest/config";

// Workspace packages resolve to their TypeScript sources: tests need no build.
const conditions = ["striate-source"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["{packages,apps,tools}/*/src/**/*.test.ts"],
    environment: "node",
    testTimeout: 30_000,
    // Vitest leaves one core to itself, which of two is half of the machine. Files keep workers of their own: in a shared one
    // what earlier files taught the compiler makes kernels half as slow again.
    maxWorkers: "100%",
  },
});
