// A backend is a plain value: here is one made from another, with its own relu and without native pooling (core then
// decomposes that), and the conformance suite's word on it.
import { createCpuBackend } from "@striate/backend-cpu";
import { runConformance } from "@striate/conformance";
import type { Backend, Kernels } from "@striate/core/backend";

const create = async (): Promise<Backend> => {
  const cpu = await createCpuBackend();
  const { maxPool2d: _1, maxPool2dGrad: _2, ...kernels } = cpu.kernels;
  const mine: Kernels = {
    ...kernels,
    unary: (call) => {
      if (call.attrs.kind !== "relu") return cpu.kernels.unary(call);
      // max(x, 0) by two kernels that are there: x · (x > 0) would turn an infinity into NaN at 0 · Infinity.
      const [y] = call.outputs;
      const zero = cpu.alloc(y);
      cpu.kernels.fill({ op: "fill", inputs: [], outputs: [{ ...y, storage: zero }], attrs: { value: 0 } });
      const inputs = [call.inputs[0], { ...y, storage: zero }] as const;
      cpu.kernels.binary({ op: "binary", inputs, outputs: call.outputs, attrs: { kind: "max" } });
      cpu.free(zero);
    },
  };
  return { ...cpu, name: "mine", kernels: mine };
};

const { summary } = await runConformance({ name: "mine", create, filter: "relu" });
console.log(`relu: ${summary.passed} passed, ${summary.failed} failed, ${summary.skipped} skipped`);
const pooling = await runConformance({ name: "mine", create, filter: "maxPool2d" });
console.log(`maxPool2d: ${pooling.summary.passed} passed, ${pooling.summary.failed} failed`);
if (summary.failed + pooling.summary.failed > 0) process.exitCode = 1;
