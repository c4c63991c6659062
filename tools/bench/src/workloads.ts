import type { Problem } from "./problem.js";

export interface Workload {
  /** What `--filter` looks at. */
  readonly name: string;
  readonly problem: Problem;
}

const conv3x3 = { in: 64, out: 64, image: 32, kernel: 3, padding: 1, batch: 32 } as const;
const lenetConv1 = { in: 3, out: 6, image: 32, kernel: 5, padding: 0, batch: 128 } as const;
const lenetConv2 = { in: 6, out: 16, image: 14, kernel: 5, padding: 0, batch: 128 } as const;

/** Cheap ones first. The batch is that of a peer which is fast enough for it; others get a smaller one. */
export const workloads: readonly Workload[] = [
  { name: "matmul 256", problem: { op: "matmul", size: 256 } },
  { name: "matmul 512", problem: { op: "matmul", size: 512 } },
  { name: "matmul 1024", problem: { op: "matmul", size: 1024 } },
  { name: "conv 64>64 3x3 @32 forward", problem: { op: "conv2d", ...conv3x3 } },
  { name: "conv 64>64 3x3 @32 grad input", problem: { op: "conv2dGradInput", ...conv3x3 } },
  { name: "conv 64>64 3x3 @32 grad weight", problem: { op: "conv2dGradWeight", ...conv3x3 } },
  { name: "conv 3>6 5x5 @32 forward", problem: { op: "conv2d", ...lenetConv1 } },
  { name: "conv 3>6 5x5 @32 grad weight", problem: { op: "conv2dGradWeight", ...lenetConv1 } },
  { name: "conv 6>16 5x5 @14 forward", problem: { op: "conv2d", ...lenetConv2 } },
  { name: "conv 6>16 5x5 @14 grad input", problem: { op: "conv2dGradInput", ...lenetConv2 } },
  { name: "conv 6>16 5x5 @14 grad weight", problem: { op: "conv2dGradWeight", ...lenetConv2 } },
  { name: "train lenet5-rgb", problem: { op: "train", network: "lenet5-rgb", batch: 128, image: 32 } },
  { name: "train speed-net 16/32/32", problem: { op: "train", network: "speed-net", batch: 128, image: 32 } },
  { name: "train resnet20", problem: { op: "train", network: "resnet20", batch: 64, image: 32 } },
  { name: "train vgg-s", problem: { op: "train", network: "vgg-s", batch: 64, image: 32 } },
];
