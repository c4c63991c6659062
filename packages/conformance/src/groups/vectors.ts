/**
 * Golden vectors of single operators: for every tensor, outputs and gradients alike, norm(y - ref) <= r·norm(ref) +
 * a·sqrt(n), in float32 and where the backend has it in float64. Integers must agree exactly.
 */
import { mul, scope, sum, type Tensor, tensor, valueAndGrad } from "@striate/core";
import type { Backend, DType } from "@striate/core/backend";
import type { Case } from "../case.js";
import { disposeAll, download } from "../evaluate.js";
import { check } from "../failure.js";
import { encode, formats } from "../number-format.js";
import { sizeOf } from "../reference/ndarray.js";
import { vectorOps } from "../vectors/operators.js";
import type { OperatorVector, Vectors } from "../vectors/parse.js";
import { type StoredTensor, VectorFormatError } from "../vectors/safetensors.js";

const limits = {
  float32: { relative: 1e-5, absolute: 1e-6 },
  float64: { relative: 1e-7, absolute: 1e-9 },
} as const;

type VectorDType = keyof typeof limits;

const norm = (values: Float64Array): number => Math.sqrt(values.reduce((total, value) => total + value * value, 0));

/** @throws ConformanceFailure; returns error over allowed error. */
const compare = (what: string, actual: Float64Array, expected: StoredTensor, dtype: VectorDType): number => {
  check(
    actual.length === expected.values.length,
    () => `${what} has ${actual.length} elements, expected ${expected.values.length}`,
  );
  const difference = expected.values.map((value, i) => value - (actual[i] as number));
  const off = norm(difference);
  const { relative, absolute } = limits[dtype];
  const allowed =
    expected.dtype === "F32" || expected.dtype === "F64"
      ? relative * norm(expected.values) + absolute * Math.sqrt(actual.length)
      : 0;
  check(
    off <= allowed,
    () =>
      `${what} is off by ${off.toPrecision(3)} in norm, allowed ${allowed.toPrecision(3)} (norm ${norm(expected.values).toPrecision(3)}, ${actual.length} elements)`,
  );
  return off === 0 ? 0 : off / allowed;
};

const uploadStored = ({ dtype, shape, values }: StoredTensor, float: DType, backend: Backend): Tensor => {
  const own: DType = dtype === "I32" ? "int32" : dtype === "U8" ? "uint8" : float;
  return tensor(encode(own, values), { backend, shape, dtype: own });
};

const runVector = async (vector: OperatorVector, dtype: VectorDType, backend: Backend): Promise<number> => {
  const op = vectorOps[vector.op];
  if (!op) throw new VectorFormatError(`no operator of that name is known: ${vector.op}`);
  const inputs = new Map([...vector.inputs].map(([name, stored]) => [name, uploadStored(stored, dtype, backend)]));
  const ratios: number[] = [];
  try {
    const outputs = scope(() => op.run(inputs, vector.attrs));
    const names = Object.keys(outputs);
    const results = await download(Object.values(outputs));
    for (const [name, expected] of vector.outputs) {
      const at = names.indexOf(name);
      if (at < 0) throw new VectorFormatError(`${vector.id}: ${vector.op} has no output ${name}`);
      ratios.push(compare(`output ${name}`, results[at] as Float64Array, expected, dtype));
    }
    if (!vector.arriving || vector.gradients.size === 0) return Math.max(...ratios);
    const { values } = vector.arriving;
    const first = [...vector.outputs.keys()][0] as string;
    const differentiated = [...vector.gradients].map(([name, expected]) => {
      const x = inputs.get(name);
      if (!x) throw new VectorFormatError(`${vector.id}: there is a gradient of ${name} but no such input`);
      return { name, expected, x };
    });
    const { value, grads } = valueAndGrad(
      () =>
        scope(() => {
          const y = op.run(inputs, vector.attrs)[first] as Tensor;
          // The vectors may store a scalar with the shape [1].
          check(
            sizeOf(y.shape) === values.length,
            () => `the arriving gradient has ${values.length} elements, the output ${sizeOf(y.shape)}`,
          );
          return sum(mul(y, tensor(encode(dtype, values), { backend, shape: y.shape, dtype })));
        }),
      differentiated.map(({ x }) => x),
    );
    value.dispose();
    const found = await download(grads);
    differentiated.forEach(({ name, expected }, i) => {
      ratios.push(compare(`the gradient of ${name}`, found[i] as Float64Array, expected, dtype));
    });
    return Math.max(...ratios);
  } finally {
    disposeAll(inputs.values());
  }
};

export const vectorCases = ({ operators, unreadable }: Vectors, dtypes: ReadonlySet<DType>): Case[] => [
  ...unreadable.map(
    ({ file, reason }): Case => ({
      id: `vectors:file/${file}`,
      group: "vectors",
      run: async () => {
        throw new VectorFormatError(reason);
      },
    }),
  ),
  ...operators.flatMap((vector) =>
    (["float32", "float64"] as const)
      .filter((dtype) => dtypes.has(dtype))
      .map((dtype): Case => {
        const op = vectorOps[vector.op]?.op;
        return {
          id: `vectors:${vector.id}#${formats[dtype].tag}`,
          group: "vectors",
          ...(op && { op }),
          dtype,
          column: "vectors",
          run: async ({ backend }) => ({ ratio: await runVector(vector, dtype, backend) }),
        };
      }),
  ),
];
