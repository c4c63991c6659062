/** Loop nests in WGSL. */
import { i32, type Param, repeat, u32 } from "./wgsl/shader.js";

/** Parameters that describe a nest of `rank` axes over `arrays` arrays: extents, then each array's strides. */
export const nestParams = (rank: number, arrays: number, prefix = ""): Param[] => [
  ...u32(...Array.from({ length: rank }, (_, axis) => `${prefix}n${axis}`)),
  ...i32(
    ...Array.from({ length: arrays }, (_, k) => k).flatMap((k) =>
      Array.from({ length: rank }, (_, axis) => `${prefix}s${k}_${axis}`),
    ),
  ),
];

export const nestWords = ({
  shape,
  strides,
}: {
  readonly shape: readonly number[];
  readonly strides: readonly (readonly number[])[];
}): number[] => [...shape, ...strides.flat()];

/**
 * Statements that turn the linear index `index` (u32) into `at0`, `at1` …, i32 offsets into each array, starting from
 * the expressions `start`. They use the variable names `c0`, `c1` … for the coordinates.
 */
export const nestOffsets = (rank: number, start: readonly string[], index: string, prefix = ""): string => {
  const lines = [`var ${prefix}rest = ${index};`];
  for (let axis = rank - 1; axis >= 0; axis--) {
    if (axis === 0) lines.push(`let ${prefix}c0 = i32(${prefix}rest);`);
    else
      lines.push(
        `let ${prefix}c${axis} = i32(${prefix}rest % p.${prefix}n${axis});`,
        `${prefix}rest = ${prefix}rest / p.${prefix}n${axis};`,
      );
  }
  start.forEach((from, k) => {
    lines.push(
      `let ${prefix}at${k} = ${from} + ${repeat(rank, (axis) => `${prefix}c${axis} * p.${prefix}s${k}_${axis}`, " + ")};`,
    );
  });
  return lines.join("\n");
};
