import { beforeEach, describe, expect, test } from "vitest";
import type { Backend, Call, Kernels, Operand, OpName } from "../backend.js";
import {
  type BatchNormOptions,
  batchNorm,
  batchNormRelu,
  conv2d,
  conv2dRelu,
  memoryUsage,
  noGrad,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../index.js";
import { alteredBackend } from "../testing/altered-backend.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

const called: OpName[] = [];

/** A kernel that has another backend compute `f` of its inputs. */
const kernelOf = (
  backend: Backend,
  other: Backend,
  f: (inputs: readonly Tensor[], attrs: never) => readonly Tensor[],
) => ({
  run: ({ op, inputs, outputs, attrs }: Call<OpName>) =>
    scope(() => {
      called.push(op);
      const host = (operand: Operand) => backend.readSync?.(operand) as Float64Array;
      const results = f(
        (inputs as readonly Operand[]).map((x) => tensor(host(x), { backend: other, shape: x.shape })),
        attrs as never,
      );
      (outputs as readonly Operand[]).forEach((y, i) => backend.write(y, (results[i] as Tensor).dataSync()));
    }),
});

/** The minimal backend with the fused kernels. */
const withFusedKernels = async (): Promise<Backend> => {
  const [backend, other] = await Promise.all([createMinimalBackend(), createMinimalBackend()]);
  const kernels = {
    conv2dRelu: kernelOf(backend, other, ([x, w, bias], attrs) => [
      conv2d(x as Tensor, w as Tensor, { ...(attrs as object), bias }).relu(),
    ]),
    batchNormRelu: kernelOf(backend, other, ([x, weight, bias], { eps }) => {
      const [input, axes] = [x as Tensor, [0, 2, 3]];
      return [batchNorm(input, { weight, bias, training: true, eps }).relu(), input.mean(axes), input.variance(axes)];
    }),
    batchNormInference: kernelOf(backend, other, ([x, runningMean, runningVar, weight, bias], { eps, relu }) => {
      const y = batchNorm(x as Tensor, { weight, bias, runningMean, runningVar, training: false, eps });
      return [relu ? y.relu() : y];
    }),
  };
  return alteredBackend(backend, { kernels: kernels as unknown as Partial<Kernels> });
};

const values = (count: number, seed: number): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => Math.sin(7 * i + seed) * 2);

describe.each([
  { kind: "decomposed", create: createMinimalBackend, native: false },
  { kind: "native", create: withFusedKernels, native: true },
])("$kind", ({ create, native }) => {
  let backend: Backend;
  let images: Tensor;
  let parameters: Record<"weight" | "bias" | "scale" | "shift", Tensor>;

  beforeEach(async () => {
    backend = await create();
    called.length = 0;
    const parameter = (shape: readonly number[], seed: number): Tensor =>
      tensor(
        values(
          shape.reduce((a, b) => a * b, 1),
          seed,
        ),
        { backend, shape, requiresGrad: true },
      );
    images = parameter([2, 3, 5, 4], 1);
    parameters = {
      weight: parameter([4, 3, 3, 3], 2),
      bias: parameter([4], 3),
      scale: parameter([4], 4),
      shift: parameter([4], 5),
    };
  });

  const fused = (): Tensor => {
    const { weight, bias, scale, shift } = parameters;
    const y = conv2dRelu(images, weight, { bias, padding: 1, stride: [1, 2] });
    return batchNormRelu(y, { weight: scale, bias: shift, training: true });
  };
  const apart = (): Tensor => {
    const { weight, bias, scale, shift } = parameters;
    const y = conv2d(images, weight, { bias, padding: 1, stride: [1, 2] }).relu();
    return batchNorm(y, { weight: scale, bias: shift, training: true }).relu();
  };
  const all = (): Tensor[] => [images, ...Object.values(parameters)];
  const lossOf = (y: Tensor): Tensor => y.mul(y).mul(0.5).sum();
  const numbers = (tensors: readonly Tensor[]): number[][] => tensors.map((t) => [...t.dataSync()] as number[]);

  test("value and gradients have the bits of the two ops", () => {
    const one = valueAndGrad(() => lossOf(fused()), all());
    const two = valueAndGrad(() => lossOf(apart()), all());
    expect(one.value.dataSync()).toEqual(two.value.dataSync());
    expect(numbers(one.grads)).toEqual(numbers(two.grads));
    expect(called).toEqual(native ? ["conv2dRelu", "batchNormRelu"] : []);
  });

  const evaluation = (): BatchNormOptions => ({
    weight: parameters.scale,
    bias: parameters.shift,
    runningMean: tensor(values(4, 6), { backend }),
    runningVar: tensor([1, 2, 3, 4], { backend, dtype: "float64" }),
    training: false,
  });

  test("in evaluation, one kernel where nothing is recorded, and its steps where something is", () => {
    const options = evaluation();
    const x = conv2dRelu(images.detach(), parameters.weight.detach(), { padding: 1 });
    called.length = 0;
    const recorded = [batchNorm(x, options), batchNormRelu(x, options), batchNorm(x, options).relu()];
    expect(called).toEqual([]);
    const [y, rectified] = noGrad(() => [batchNorm(x, options), batchNormRelu(x, options)]);
    expect(called).toEqual(native ? ["batchNormInference", "batchNormInference"] : []);
    expect(numbers([y, rectified, rectified] as Tensor[])).toEqual(numbers(recorded));
  });

  test("a rule by name finds each of the two", () => {
    const seen: string[] = [];
    const rules = {
      relu: (c: { grad(): Tensor }) => {
        seen.push("relu");
        return [c.grad()];
      },
    };
    const [linear] = valueAndGrad(() => fused().sum(), [parameters.shift], { rules }).grads;
    expect(seen).toHaveLength(1);
    // Unmasked, each of the 2·5·2 elements of a channel adds 1.
    expect(linear?.dataSync()).toEqual(Float64Array.of(20, 20, 20, 20));
  });

  test("second derivatives agree", () => {
    const second = (f: () => Tensor): number[][] =>
      numbers(
        valueAndGrad(() => {
          const { grads } = valueAndGrad(() => lossOf(f()), all(), { createGraph: true });
          return grads.map((g) => g.mul(g).sum()).reduce((a, b) => a.add(b));
        }, all()).grads,
      );
    expect(second(fused)).toEqual(second(apart));
    const options = evaluation();
    const normalized = () => conv2d(images, parameters.weight, { bias: parameters.bias });
    const inOne = second(() => batchNormRelu(normalized(), options));
    expect(inOne).toEqual(second(() => batchNorm(normalized(), options).relu()));
    expect(inOne.every((gradient) => gradient.some((value) => value !== 0))).toBe(true);
  });

  test("bad arguments are refused under the op's own name", () => {
    const { weight, scale } = parameters;
    expect(() => conv2dRelu(images, scale)).toThrow(/^conv2dRelu: x is .*, weight \[4\]/);
    expect(() => conv2dRelu(images, weight, { stride: 0 })).toThrow(/^conv2dRelu: stride is /);
    expect(() => batchNormRelu(images, { training: false })).toThrow(/^batchNormRelu: evaluation needs/);
    const gone = images.detach();
    gone.dispose();
    expect(() => conv2dRelu(gone, weight)).toThrow(/^conv2dRelu: x .* was disposed/);
  });

  test("nothing stays behind", () => {
    const { tensors, storages, bytes } = memoryUsage(backend);
    scope(() => {
      fused();
      valueAndGrad(() => lossOf(fused()), all());
    });
    expect(memoryUsage(backend)).toMatchObject({ tensors, storages, bytes });
  });
});
