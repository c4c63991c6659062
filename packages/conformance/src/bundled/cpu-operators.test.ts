import { createCpuBackend } from "@striate/backend-cpu";
import { testBackend } from "../vitest.js";

await testBackend({
  name: "cpu",
  create: createCpuBackend,
  groups: ["contract", "ops", "overrides", "random", "leaks", "errors"],
});
