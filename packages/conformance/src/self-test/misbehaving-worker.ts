/** A worker whose backend never returns from one kernel call, or ends the thread in it. */
import { workerData } from "node:worker_threads";
import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, delegate, type Kernel } from "@striate/core/backend";
import { serveIsolated } from "../isolated.js";
import { threadPort } from "../node-threads.js";

const misbehave = {
  hang: (): never => {
    for (;;);
  },
  exit: (): never => process.exit(3),
} as const;

const { how, filter } = workerData as { how: keyof typeof misbehave | "throw"; filter: string[] };

const create = async (): Promise<Backend> => {
  if (how === "throw") throw new RangeError("no device");
  const good = await createCpuBackend();
  const unary: Kernel<"unary"> = (call) => {
    // The shape of the sample `relu/17`.
    if (call.attrs.kind === "relu" && call.outputs[0].shape.join() === "17") misbehave[how]();
    good.kernels.unary(call);
  };
  return { ...delegate(good), kernels: { ...good.kernels, unary } };
};

await serveIsolated(threadPort(), () => ({ name: "misbehaving", create, filter, timeout: 3000 }));
