import type { Backend, Call, Capabilities, Kernels, OpName } from "../backend.js";

type AnyCall = Call<OpName>;

interface Changes extends Partial<Omit<Backend, "caps" | "kernels">> {
  readonly caps?: Partial<Capabilities>;
  /** Optional kernels to add. */
  readonly kernels?: Partial<Kernels>;
  /** Called before every required kernel; what it throws, the kernel throws. */
  readonly onKernel?: (call: AnyCall) => void;
}

/** `backend` with parts replaced and its kernels watched: how tests look into it and break it. */
export const alteredBackend = (backend: Backend, { onKernel, kernels, caps, ...parts }: Changes): Backend => {
  const watched = Object.entries(backend.kernels).map(([name, kernel]) => [
    name,
    (call: AnyCall) => {
      onKernel?.(call);
      (kernel as (call: AnyCall) => void)(call);
    },
  ]);
  return {
    ...backend,
    ...parts,
    caps: { ...backend.caps, ...caps },
    kernels: { ...Object.fromEntries(watched), ...kernels },
  };
};
