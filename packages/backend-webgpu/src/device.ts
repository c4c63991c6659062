import { UnsupportedError } from "@striate/core/backend";
import { BACKEND } from "./errors.js";

/** Limits that are raised to what the adapter has; the rest stay at WebGPU's defaults. */
const raised = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupsPerDimension",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/**
 * Features that are taken where the adapter has them. Kernels use none of the first two, see decision 0031: they are for who
 * computes on `device` besides, and so that a device says what its adapter has.
 */
const wanted: readonly GPUFeatureName[] = ["shader-f16", "subgroups", "timestamp-query"];

export interface DeviceRequest {
  readonly powerPreference: GPUPowerPreference;
  /** `false`: WebGPU's default limits, as the weakest conforming device has them. */
  readonly raiseLimits: boolean;
}

/** @throws UnsupportedError where there is no adapter or it gives no device. */
export const openDevice = async (gpu: GPU, { powerPreference, raiseLimits }: DeviceRequest): Promise<GPUDevice> => {
  const adapter = await gpu.requestAdapter({ powerPreference });
  if (!adapter)
    throw new UnsupportedError(
      "createWebGpuBackend",
      BACKEND,
      "WebGPU is there, but it offers no adapter on this machine",
    );
  const requiredFeatures = wanted.filter((feature) => adapter.features.has(feature));
  const requiredLimits = raiseLimits ? Object.fromEntries(raised.map((name) => [name, adapter.limits[name]])) : {};
  try {
    return await adapter.requestDevice({ label: "striate", requiredFeatures, requiredLimits });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UnsupportedError("createWebGpuBackend", BACKEND, `the adapter gives no device: ${why}`);
  }
};
