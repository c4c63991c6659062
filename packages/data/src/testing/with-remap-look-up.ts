import { type Backend, delegate } from "@striate/core/backend";

export interface RemapLookUpBackend {
  readonly backend: Backend;
  /** How often its kernel ran. */
  calls(): number;
}

/** A backend that reads synchronously, with a kernel `remapLookUp` after the op's definition. */
export const withRemapLookUp = (inner: Backend): RemapLookUpBackend => {
  const read = inner.readSync as NonNullable<Backend["readSync"]>;
  let calls = 0;
  const backend: Backend = {
    ...delegate(inner),
    kernels: {
      ...inner.kernels,
      remapLookUp: {
        run: ({ inputs, outputs: [y] }) => {
          calls++;
          const [x, rows, columns, table] = inputs.map((operand) => read(operand));
          const [, channels, height, width] = inputs[0].shape as [number, number, number, number];
          const [, , h, w] = y.shape as [number, number, number, number];
          const valueAt = (at: number): number => {
            const plane = Math.floor(at / (h * w));
            const image = Math.floor(plane / channels);
            const row = rows?.[image * h + (Math.floor(at / w) % h)] as number;
            const column = columns?.[image * w + (at % w)] as number;
            const byte = row < 0 || column < 0 ? 0 : (x?.[(plane * height + row) * width + column] as number);
            const own = inputs[3].shape[0] === 1 ? plane % channels : plane;
            return table?.[256 * own + byte] as number;
          };
          const size = y.shape.reduce((product, n) => product * n, 1);
          inner.write(
            y,
            Float32Array.from({ length: size }, (_, at) => valueAt(at)),
          );
        },
      },
    },
  };
  return { backend, calls: () => calls };
};
