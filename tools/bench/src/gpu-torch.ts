/** PyTorch on the same card, for `gpu.ts`. */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface TorchSpeed {
  readonly matmulTeraflops: number;
  readonly imagesPerSecond: number;
}

export interface TorchResult {
  readonly version: string;
  /** The card's name. */
  readonly device: string;
  /** With TF32 switched off: the arithmetic that WGSL has. */
  readonly float32: TorchSpeed;
  /** With TF32, which PyTorch's convolutions use by default. */
  readonly tf32: TorchSpeed;
}

export interface TorchWork {
  readonly matmul: number;
  readonly batch: number;
  /** Channels of the first stage. */
  readonly width: number;
  readonly rounds: number;
}

// From src/ and from dist/ alike.
const program = fileURLToPath(new URL("../src/gpu_torch.py", import.meta.url));

/** Whether this Python has PyTorch, and PyTorch the device. */
const has = (python: string, device: "cuda" | "cpu"): boolean => {
  const look = `import sys, torch; sys.exit(not ${device === "cuda" ? "torch.cuda.is_available()" : "True"})`;
  return spawnSync(python, ["-c", look], { stdio: "ignore" }).status === 0;
};

/**
 * The first Python that can: the one that STRIATE_PYTHON names, else that on the PATH, else the system's. Null where none has
 * a PyTorch with the device.
 *
 * @throws Error with the last line of what Python complained about.
 */
export const runTorch = async (device: "cuda" | "cpu", work: TorchWork): Promise<TorchResult | null> => {
  const named = process.env["STRIATE_PYTHON"];
  const python = (named === undefined ? ["python3", "/usr/bin/python3"] : [named]).find((each) => has(each, device));
  if (python === undefined) return null;
  const { matmul, batch, width, rounds } = work;
  const child = spawn(python, [program, device, ...[matmul, batch, width, rounds].map(String)]);
  let output = "";
  let complaints = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    complaints = `${complaints}${chunk}`.slice(-2000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`PyTorch ended with ${code}: ${complaints.trim().split("\n").at(-1)}`);
  return JSON.parse(output) as TorchResult;
};
