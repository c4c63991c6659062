/** What every backend promises beyond the ops: storage, order, views, disposal. */
import { type MemoryUsage, memoryUsage, reshape, sum, tensor, zeros } from "@striate/core";
import {
  type Attrs,
  type Backend,
  type Call,
  type CallSpec,
  type Capabilities,
  type DType,
  type HostArray,
  hostArray,
  isFloat,
  type Operand,
  type OpName,
  type OptionalKernel,
  requiredOps,
  type Shape,
} from "@striate/core/backend";
import type { Case, Context } from "../case.js";
import { check, SkipCase } from "../failure.js";
import { decode, encode } from "../number-format.js";
import { specials } from "../suite.js";

const contractCase = (name: string, run: (context: Context) => void | Promise<void>, dtype?: DType): Case => ({
  id: `contract:${name}`,
  group: "contract",
  ...(dtype && { dtype }),
  run: async (context) => {
    await run(context);
    return undefined;
  },
});

/** A fresh storage with these values. */
const place = (backend: Backend, shape: Shape, dtype: DType, values: ArrayLike<number>): Operand => {
  const operand = { shape, dtype, storage: backend.alloc({ shape, dtype }) };
  backend.write(operand, encode(dtype, values));
  return operand;
};

/** A fresh storage with unspecified contents. */
const blank = (backend: Backend, shape: Shape, dtype: DType): Operand => ({
  shape,
  dtype,
  storage: backend.alloc({ shape, dtype }),
});

const free = (backend: Backend, ...operands: readonly Operand[]): void => {
  for (const { storage } of operands) backend.free(storage);
};

const call = <K extends (typeof requiredOps)[number]>(
  backend: Backend,
  op: K,
  inputs: readonly Operand[],
  output: Operand,
  attrs: Attrs<K>,
): void => {
  const kernel = backend.kernels[op] as (call: Call<OpName>) => void;
  kernel({ op, inputs, outputs: [output], attrs } as unknown as Call<OpName>);
};

const valuesOf = async (backend: Backend, operand: Operand): Promise<Float64Array> =>
  decode(operand.dtype, await backend.read(operand));

const demandValues = (what: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void => {
  const wrong = Array.from({ length: expected.length }).findIndex((_, i) => !Object.is(actual[i], expected[i]));
  check(
    actual.length === expected.length && wrong < 0,
    () =>
      `${what}: element ${wrong} is ${actual[wrong]}, expected ${expected[wrong]} (${actual.length} elements, expected ${expected.length})`,
  );
};

/** Values that a dtype must carry unchanged. */
const patterns: Readonly<Record<DType, readonly number[]>> = {
  float32: specials.map(Math.fround),
  float64: [...specials, 1 / 3, Number.MIN_VALUE, Number.MAX_VALUE],
  float16: [Number.NaN, Number.POSITIVE_INFINITY, -0, 0, 2 ** -24, -1.5, 65504],
  int32: [0, -1, 2147483647, -2147483648, 2 ** 24 + 1],
  uint8: Array.from({ length: 256 }, (_, i) => i),
  bool: [0, 1, 1, 0, 0],
};

const roundTrip = (dtype: DType): Case =>
  contractCase(
    `write-read/${dtype}`,
    async ({ backend }) => {
      const values = patterns[dtype];
      for (const count of [1, 3, 4, 5, 63, 64, 65, values.length]) {
        const expected = Array.from({ length: count }, (_, i) => values[i % values.length] as number);
        const x = place(backend, [count], dtype, expected);
        const host = await backend.read(x);
        free(backend, x);
        check(
          host.constructor === hostArray(dtype, 0).constructor,
          `read gave a ${host.constructor.name} for ${dtype}`,
        );
        demandValues(`${count} elements`, decode(dtype, host), expected);
      }
    },
    dtype,
  );

/** Small calls of required kernels whose output could alias the input. */
const aliasable: readonly {
  readonly op: "unary" | "permute" | "slice" | "pad" | "expand" | "cast" | "reduce";
  readonly attrs: object;
  readonly output: Shape;
}[] = [
  { op: "unary", attrs: { kind: "relu" }, output: [2, 3] },
  { op: "permute", attrs: { perm: [0, 1] }, output: [2, 3] },
  { op: "slice", attrs: { begin: [0, 0], step: [1, 1] }, output: [2, 3] },
  { op: "pad", attrs: { before: [0, 0], after: [0, 0], value: 0 }, output: [2, 3] },
  { op: "expand", attrs: {}, output: [2, 3] },
  { op: "cast", attrs: {}, output: [2, 3] },
];

const sixes = [1, 2, 3, 4, 5, 6];

const contract: readonly Case[] = [
  contractCase("interface", ({ backend }) => {
    check(backend.apiVersion === 1, `apiVersion is ${backend.apiVersion}, expected 1`);
    check(backend.name.length > 0, "the name is empty");
    for (const dtype of ["float32", "int32", "uint8", "bool"] as const)
      check(backend.caps.dtypes.has(dtype), `caps.dtypes lacks ${dtype}, which every backend has`);
    check(backend.caps.maxBufferBytes > 0, `caps.maxBufferBytes is ${backend.caps.maxBufferBytes}`);
    for (const op of requiredOps)
      check(typeof backend.kernels[op] === "function", `the required kernel ${op} is missing`);
    check(!backend.caps.syncRead || backend.readSync !== undefined, "caps.syncRead without readSync");
    check(typeof backend.lost?.then === "function", "lost is no promise");
  }),

  contractCase("write-copies", async ({ backend }) => {
    const data = Float32Array.from(sixes);
    const x = blank(backend, [6], "float32");
    backend.write(x, data);
    data.fill(-1);
    const values = await valuesOf(backend, x);
    free(backend, x);
    demandValues("after the caller reused the array", values, sixes);
  }),

  contractCase("read-copies", async ({ backend }) => {
    const x = place(backend, [6], "float32", sixes);
    (await backend.read(x)).fill(-1);
    const values = await valuesOf(backend, x);
    free(backend, x);
    demandValues("after the caller wrote into what it had read", values, sixes);
  }),

  contractCase("read-sync", async ({ backend }) => {
    if (!backend.caps.syncRead) throw new SkipCase("caps.syncRead: the backend reads asynchronously only");
    const x = place(backend, [6], "float32", sixes);
    const now = (backend.readSync as (source: Operand) => HostArray)(x);
    now[0] = 9;
    const later = await valuesOf(backend, x);
    free(backend, x);
    demandValues("read after readSync", later, sixes);
    demandValues("readSync", now.slice(1), sixes.slice(1));
  }),

  contractCase("order/kernels", async ({ backend }) => {
    const one = place(backend, [5], "float32", [1, 1, 1, 1, 1]);
    let x = place(backend, [5], "float32", [0, 1, 2, 3, 4]);
    for (let i = 0; i < 20; i++) {
      const y = blank(backend, [5], "float32");
      call(backend, "binary", [x, one], y, { kind: "add" });
      backend.free(x.storage);
      x = y;
    }
    const values = await valuesOf(backend, x);
    free(backend, x, one);
    demandValues("0 … 4 plus twenty ones", values, [20, 21, 22, 23, 24]);
  }),

  contractCase("order/read-then-write", async ({ backend }) => {
    const x = place(backend, [6], "float32", sixes);
    const pending = backend.read(x);
    backend.write(x, new Float32Array(6).fill(-1));
    const earlier = decode("float32", await pending);
    const later = await valuesOf(backend, x);
    free(backend, x);
    demandValues("a read sees what was dispatched before it", earlier, sixes);
    demandValues("a later read", later, [-1, -1, -1, -1, -1, -1]);
  }),

  contractCase("order/read-then-free", async ({ backend }) => {
    const x = place(backend, [6], "float32", sixes);
    const pending = backend.read(x);
    free(backend, x);
    const other = place(backend, [6], "float32", new Float32Array(6).fill(-1));
    const values = decode("float32", await pending);
    free(backend, other);
    demandValues("read before the storage was freed and perhaps reused", values, sixes);
  }),

  contractCase("order/free-after-dispatch", async ({ backend }) => {
    const x = place(backend, [6], "float32", sixes);
    const y = blank(backend, [6], "float32");
    call(backend, "unary", [x], y, { kind: "neg" });
    free(backend, x);
    const other = place(backend, [6], "float32", new Float32Array(6).fill(7));
    const values = await valuesOf(backend, y);
    free(backend, y, other);
    demandValues(
      "neg of a storage freed right after the call",
      values,
      sixes.map((v) => -v),
    );
  }),

  contractCase("views", async ({ backend }) => {
    const x = place(
      backend,
      [2, 6],
      "float32",
      Array.from({ length: 12 }, (_, i) => i),
    );
    const y = blank(backend, [4], "float32");
    call(backend, "reduce", [{ ...x, shape: [3, 4] }], y, { kind: "sum", axes: [0] });
    const seen = await valuesOf(backend, { ...x, shape: [4, 3] });
    const summed = await valuesOf(backend, y);
    free(backend, x, y);
    demandValues(
      "read under another shape",
      seen,
      Array.from({ length: 12 }, (_, i) => i),
    );
    demandValues("a kernel under another shape", summed, [12, 15, 18, 21]);
  }),

  contractCase("write-under-another-shape", async ({ backend }) => {
    const x = blank(backend, [3, 4], "float32");
    backend.write(
      { ...x, shape: [12] },
      Float32Array.from({ length: 12 }, (_, i) => i),
    );
    const y = blank(backend, [3], "float32");
    call(backend, "reduce", [x], y, { kind: "sum", axes: [1] });
    const values = await valuesOf(backend, y);
    free(backend, x, y);
    demandValues("row sums", values, [6, 22, 38]);
  }),

  ...aliasable.map(({ op, attrs, output }) =>
    contractCase(`outputs-are-own/${op}`, async ({ backend }) => {
      const x = place(backend, [2, 3], "float32", sixes);
      const y = blank(backend, output, "float32");
      call(backend, op, [x], y, attrs as never);
      backend.write(x, new Float32Array(6).fill(-9));
      const after = await valuesOf(backend, y);
      free(backend, x);
      const kept = await valuesOf(backend, y);
      free(backend, y);
      demandValues("the output after the input was overwritten", after, sixes);
      demandValues("the output after the input was freed", kept, sixes);
    }),
  ),

  contractCase("fill-small-and-large", async ({ backend }) => {
    for (const count of [1, 4, 65, 4099]) {
      const x = blank(backend, [count], "float32");
      call(backend, "fill", [], x, { value: -2.5 });
      const values = await valuesOf(backend, x);
      free(backend, x);
      demandValues(`fill of ${count}`, values, new Float64Array(count).fill(-2.5));
    }
  }),

  contractCase("sync-and-flush", async ({ backend }) => {
    backend.flush();
    await backend.sync();
    const x = place(backend, [3], "float32", [1, 2, 3]);
    backend.flush();
    backend.flush();
    await backend.sync();
    const values = await valuesOf(backend, x);
    free(backend, x);
    demandValues("after flush and sync", values, [1, 2, 3]);
  }),

  contractCase("deterministic", async ({ backend }) => {
    if (!backend.caps.deterministic) throw new SkipCase("caps.deterministic: the backend does not promise it");
    const values = Float32Array.from({ length: 10_007 }, (_, i) => Math.sin(i) * 1000);
    const sums: number[] = [];
    for (let i = 0; i < 3; i++) {
      const x = tensor(values, { backend });
      const y = sum(x);
      sums.push(await y.item());
      x.dispose();
      y.dispose();
    }
    check(new Set(sums).size === 1, () => `the same sum gave ${sums.join(", ")}`);
  }),

  contractCase("tensors/zero-size", async ({ backend, instrumented }) => {
    const storages = instrumented.live.size;
    const x = zeros([2, 0, 3], { backend });
    check(instrumented.live.size === storages, "a zero-size tensor got a storage");
    const data = await x.data();
    check(data.length === 0, `a zero-size tensor has ${data.length} elements`);
    x.dispose();
  }),

  contractCase("tensors/views-share-storage", async ({ backend, instrumented }) => {
    const storages = instrumented.live.size;
    const x = tensor(sixes, { backend });
    const y = reshape(x, [2, 3]);
    check(
      instrumented.live.size === storages + 1,
      `${instrumented.live.size - storages} storages for a tensor and its view, expected 1`,
    );
    x.dispose();
    const values = await y.data();
    y.dispose();
    y.dispose();
    demandValues("the view after its original was disposed", decode("float32", values), sixes);
    check(instrumented.live.size === storages, "the storage outlives its last view");
  }),

  contractCase("tensors/accounts", async ({ backend, instrumented }) => {
    const before: MemoryUsage = memoryUsage(backend);
    check(
      before.storages === instrumented.live.size,
      () => `core counts ${before.storages} storages, the backend holds ${instrumented.live.size}`,
    );
    const x = zeros([1000], { backend });
    const during = memoryUsage(backend);
    x.dispose();
    const after = memoryUsage(backend);
    check(during.bytes - before.bytes === 4000, `1000 floats count as ${during.bytes - before.bytes} bytes`);
    check(after.bytes === before.bytes && after.tensors === before.tensors, "a disposed tensor is still counted");
  }),

  contractCase("dispose-backend", async ({ create }) => {
    const other = await create();
    const x = place(other, [4], "float32", [1, 2, 3, 4]);
    await other.read(x);
    other.dispose();
    other.dispose();
  }),

  contractCase("independent-instances", async ({ backend, create }) => {
    const other = await create();
    try {
      const x = place(backend, [3], "float32", [1, 2, 3]);
      const y = place(other, [3], "float32", [4, 5, 6]);
      other.free(y.storage);
      other.dispose();
      const values = await valuesOf(backend, x);
      free(backend, x);
      demandValues("after another instance was disposed", values, [1, 2, 3]);
    } finally {
      other.dispose();
    }
  }),
];

/** Freezes an object and all it holds. */
const deepFreeze = <T>(value: T): T => {
  if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value)) {
    for (const item of Object.values(value)) deepFreeze(item);
    Object.freeze(value);
  }
  return value;
};

const image = (channels: number, dtype: DType) => ({ shape: [2, channels, 6, 6], dtype });
const window = { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0], dilation: [1, 1], ceilMode: false };
const conv = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 };

const convCall = (dtype: DType) => ({
  inputs: [image(3, dtype), { shape: [4, 3, 3, 3], dtype }],
  outputs: [image(4, dtype)],
  attrs: conv,
});

/** One plausible call of each of the optional kernels that tend to decline. */
const declinable: Readonly<Partial<Record<OpName, (dtype: DType) => object>>> = {
  conv2d: convCall,
  conv2dRelu: convCall,
  conv2dGradInput: (dtype) => ({
    inputs: [{ shape: [4, 3, 3, 3], dtype }, image(4, dtype)],
    outputs: [image(3, dtype)],
    attrs: conv,
  }),
  conv2dGradWeight: (dtype) => ({
    inputs: [image(3, dtype), image(4, dtype)],
    outputs: [{ shape: [4, 3, 3, 3], dtype }],
    attrs: conv,
  }),
  maxPool2d: (dtype) => ({
    inputs: [image(3, dtype)],
    outputs: [
      { shape: [2, 3, 3, 3], dtype },
      { shape: [2, 3, 3, 3], dtype: "int32" },
    ],
    attrs: window,
  }),
  avgPool2d: (dtype) => ({
    inputs: [image(3, dtype)],
    outputs: [{ shape: [2, 3, 3, 3], dtype }],
    attrs: { ...window, countIncludePad: true },
  }),
  softmax: (dtype) => ({ inputs: [{ shape: [4, 5], dtype }], outputs: [{ shape: [4, 5], dtype }], attrs: { axis: 1 } }),
  variance: (dtype) => ({ inputs: [{ shape: [4, 5], dtype }], outputs: [{ shape: [4], dtype }], attrs: { axes: [1] } }),
  concat: (dtype) => ({
    inputs: [
      { shape: [2, 3], dtype },
      { shape: [2, 1], dtype },
    ],
    outputs: [{ shape: [2, 4], dtype }],
    attrs: { axis: 1 },
  }),
};

const supportsIsPure = contractCase("supports-is-pure", ({ backend }) => {
  for (const [name, spec] of Object.entries(declinable)) {
    const kernel = backend.kernels[name as OpName] as OptionalKernel<OpName> | undefined;
    if (!kernel?.supports) continue;
    for (const dtype of [...backend.caps.dtypes].filter(isFloat)) {
      const asked = deepFreeze({ op: name, ...spec(dtype) }) as unknown as CallSpec<OpName>;
      const answers = [kernel.supports(asked), kernel.supports(asked), kernel.supports(structuredClone(asked))];
      check(
        answers.every((answer) => answer === true || answer === false),
        `${name}.supports gave ${answers.join(", ")}, expected a boolean`,
      );
      check(new Set(answers).size === 1, `${name}.supports gave ${answers.join(", ")} for the same call`);
    }
  }
});

export const contractCases = (caps: Capabilities): Case[] => [
  ...contract,
  ...[...caps.dtypes].map(roundTrip),
  supportsIsPure,
];

/** Runs last: every storage of the whole run was freed. */
export const closingCase: Case = contractCase("nothing-left", ({ instrumented }) => {
  check(instrumented.live.size === 0, `${instrumented.live.size} storages were never freed`);
});
