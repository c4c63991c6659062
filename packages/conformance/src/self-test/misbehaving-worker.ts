/** A process whose backend never returns from one kernel call, or ends the process in or after it. */
import { writeSync } from "node:fs";
import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, delegate, type Kernel } from "@striate/core/backend";
import { serveIsolated } from "../isolated.js";
import { processPort } from "../node-processes.js";

const misbehave = {
  hang: (): never => {
    writeSync(1, "hangs");
    for (;;);
  },
  exit: (): never => process.exit(3),
  /** As native code does that fails. */
  abort: (): never => process.abort(),
  /** Nobody catches it, and the result never comes. */
  later: (): void => {
    setTimeout(() => {
      throw new RangeError("thrown behind its back");
    });
  },
  /** Likewise, and no error either. */
  nothing: (): void => {
    setTimeout(() => {
      throw null;
    });
  },
} as const;

const [how, ...filter] = process.argv.slice(2) as [keyof typeof misbehave | "throw", ...string[]];

const create = async (): Promise<Backend> => {
  if (how === "throw") throw new RangeError("no device");
  const good = await createCpuBackend();
  let misbehaved = false;
  const unary: Kernel<"unary"> = (call) => {
    // The shape of the sample `relu/17`.
    if (call.attrs.kind === "relu" && call.outputs[0].shape.join() === "17") {
      misbehaved = true;
      misbehave[how]();
    }
    good.kernels.unary(call);
  };
  const read: Backend["read"] = (source) => (misbehaved ? new Promise(() => {}) : good.read(source as never));
  return { ...delegate(good), read, kernels: { ...good.kernels, unary } };
};

await serveIsolated(processPort(), () => ({ name: "misbehaving", create, filter, timeout: 3000 }));
