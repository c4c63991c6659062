/** tfjs's CPU backend made to look like a GPU's: its memory is elsewhere, and reading takes its time. */
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import { tf } from "./tfjs.js";

class RemoteBackend extends MathBackendCPU {
  #ownKernel = false;

  override readSync(dataId: object): ReturnType<MathBackendCPU["readSync"]> {
    if (!this.#ownKernel) throw new Error("reading is asynchronous");
    return super.readSync(dataId);
  }

  /** How the CPU's kernels read. */
  override bufferSync: MathBackendCPU["bufferSync"] = (t) => {
    this.#ownKernel = true;
    try {
      return super.bufferSync(t);
    } finally {
      this.#ownKernel = false;
    }
  };

  override async read(dataId: object): Promise<Float32Array> {
    await null;
    return super.readSync(dataId) as Float32Array;
  }

  override readToGPU(): never {
    throw new Error("there is none");
  }
}

/** As on a GPU: an index outside gives something, and no error. */
const clamped =
  (gather: tf.KernelFunc): tf.KernelFunc =>
  ({ inputs, attrs, backend }) => {
    const own = backend as RemoteBackend;
    const { x, indices } = inputs as { x: tf.TensorInfo; indices: tf.TensorInfo };
    const values = own.bufferSync(indices).values as Int32Array;
    const inside = values.map((i) => Math.min(Math.max(i, 0), (x.shape[0] as number) - 1));
    const replaced = { ...indices, dataId: own.write(inside, indices.shape, "int32") };
    const result = gather({ inputs: { x, indices: replaced }, ...(attrs && { attrs }), backend });
    own.disposeData(replaced.dataId);
    return result;
  };

/** The name under which tfjs knows it from now on. */
export const registerRemote = (): string => {
  const name = "remote";
  if (!tf.engine().backendNames().includes(name)) {
    tf.registerBackend(name, () => new RemoteBackend(), 0);
    for (const kernel of tf.getKernelsForBackend("cpu"))
      tf.registerKernel({
        ...kernel,
        backendName: name,
        ...(kernel.kernelName === "GatherV2" && { kernelFunc: clamped(kernel.kernelFunc) }),
      });
  }
  return name;
};
