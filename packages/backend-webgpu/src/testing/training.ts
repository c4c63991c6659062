/** A small residual network's training step, as the ops of core: what steps of real networks are made of. */
import {
  type Backend,
  conv2d,
  crossEntropy,
  full,
  noGrad,
  pointwise,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@striate/core";

const CLASSES = 4;

/** Deterministic values in [-1, 1). */
const noise = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i * 12.9898 + seed * 78.233) * 0.9));

const parameter = (backend: Backend, shape: number[], seed: number, scale = 0.3): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    noise(size, seed).map((v) => v * scale),
    { backend, shape, requiresGrad: true },
  );
};

export interface Training {
  /** The loss, to be read and disposed. */
  step(round: number): Tensor;
  readonly parameters: readonly Tensor[];
}

/** SGD with momentum on [2, 3, 8, 8] images. */
export const createTraining = (backend: Backend): Training => {
  const filters = [parameter(backend, [4, 3, 3, 3], 1), parameter(backend, [4, 4, 3, 3], 2)] as const;
  const scales = filters.map(() => full([4], 1, { backend }).setRequiresGrad(true));
  const shifts = filters.map(() => full([4], 0, { backend }).setRequiresGrad(true));
  const means = filters.map(() => full([4], 0, { backend }));
  const variances = filters.map(() => full([4], 1, { backend }));
  const head = parameter(backend, [4, CLASSES], 3);
  const parameters = [...filters, ...scales, ...shifts, head];
  const velocities = parameters.map((p) => full(p.shape, 0, { backend }));
  const block = (x: Tensor, i: 0 | 1): Tensor =>
    conv2d(x, filters[i], { padding: 1 }).batchNorm({
      weight: scales[i],
      bias: shifts[i],
      runningMean: means[i],
      runningVar: variances[i],
      training: true,
    });
  const loss = (x: Tensor, labels: Tensor): Tensor => {
    const first = block(x, 0).relu();
    const second = block(first, 1).add(first).relu().maxPool2d({ kernel: 2 });
    return crossEntropy(second.mean([2, 3]).matmul(head), labels);
  };
  return {
    parameters,
    step: (round) => {
      const x = tensor(noise(2 * 3 * 64, round), { backend, shape: [2, 3, 8, 8] });
      const labels = tensor(Int32Array.of(round % CLASSES, 1), { backend });
      const { value, grads } = valueAndGrad(() => scope(() => loss(x, labels)), parameters);
      noGrad(() =>
        parameters.forEach((p, i) => {
          const velocity = velocities[i] as Tensor;
          const [next, moved] = pointwise([p, grads[i] as Tensor, velocity], (w, g, v) => {
            const after = v.mul(0.9).add(g);
            return [w.sub(after.mul(0.05)), after];
          }) as [Tensor, Tensor];
          p.assign(next);
          velocity.assign(moved);
          next.dispose();
          moved.dispose();
          (grads[i] as Tensor).dispose();
        }),
      );
      x.dispose();
      labels.dispose();
      return value;
    },
  };
};

/** A fit of eight numbers, in few pipelines: for tests that make many devices. */
export const createFit = (backend: Backend): { readonly weight: Tensor; step(round: number): Tensor } => {
  const weight = parameter(backend, [8], 1);
  return {
    weight,
    step: (round) => {
      const target = tensor(noise(8, round), { backend });
      const { value, grads } = valueAndGrad(() => scope(() => weight.tanh().sub(target).square().sum()), [weight]);
      const next = noGrad(() => scope(() => weight.sub((grads[0] as Tensor).mul(0.1))));
      weight.assign(next);
      for (const done of [next, target, ...grads]) done.dispose();
      return value;
    },
  };
};
