/** Modules and functions: WebAssembly core specification 2.0, sections 5.4.1 and 5.5. */
import { type Bytes, writeName, writeUnsigned } from "./encode.js";
import { asI32, type Expr, type I32, type I32Like, i32, type Statement, type ValueType } from "./instructions.js";

const typeCodes: Readonly<Record<ValueType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

export interface Local<T extends ValueType = ValueType> extends Expr<T> {
  readonly index: number;
}

/** The body of a function under construction: statements are written in the order of the calls. */
export interface FunctionBody {
  /** A new local; its value is that of `initial`, or undefined: it may hold what an earlier round of a loop left. */
  local<T extends ValueType>(type: T): Local<T>;
  let<T extends ValueType>(initial: Expr<T>): Local<T>;
  set<T extends ValueType>(local: Local<T>, value: Expr<T>): void;
  /** local += amount */
  increment(local: Local<"i32">, amount: I32Like): void;
  do(statement: Statement): void;
  /** An endless loop around `body`, left by `leave` and begun again by falling off its end. */
  forever(body: (leave: (condition: I32) => void) => void): void;
  /**
   * Counts `index` from `start` while it is below `end` (unsigned), in steps; the test comes before the first round,
   * unless `atLeastOnce` promises one. `end` is computed in every round: make it a local or a constant.
   */
  for(
    start: I32Like,
    end: I32Like,
    step: number,
    body: (index: Local<"i32">) => void,
    options?: { readonly atLeastOnce?: boolean },
  ): void;
  if(condition: I32, then: () => void, otherwise?: () => void): void;
  /** Calls an imported function. */
  call<T extends ValueType>(imported: Imported<T>, args: readonly Expr[]): Expr<T>;
}

/** A function that the module gets from outside. */
export interface Imported<T extends ValueType = ValueType> {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result: T;
}

export interface FunctionDefinition<P extends readonly ValueType[] = readonly ValueType[]> {
  readonly name: string;
  readonly params: P;
  build(body: FunctionBody, ...params: { [K in keyof P]: Local<P[K]> }): void;
}

/** Types a function; the value is returned unchanged. */
export const defineFunction = <const P extends readonly ValueType[]>(
  definition: FunctionDefinition<P>,
): FunctionDefinition => definition as unknown as FunctionDefinition;

/** The memory that every module imports as "memory" of "host". */
export interface MemoryType {
  /** Pages of 64 KiB. */
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}

export interface ModuleDefinition {
  readonly memory: MemoryType;
  readonly functions: readonly FunctionDefinition[];
}

const makeLocal = <T extends ValueType>(type: T, index: number): Local<T> => ({
  type,
  index,
  emit: (out) => {
    out.push(0x20);
    writeUnsigned(out, index);
  },
});

const vector = (out: Bytes, items: readonly Bytes[]): void => {
  writeUnsigned(out, items.length);
  for (const item of items) for (const byte of item) out.push(byte);
};

const functionCode = (definition: FunctionDefinition, importIndex: (imported: Imported) => number): Bytes => {
  const code: Bytes = [];
  const declared: ValueType[] = [];
  const newLocal = <T extends ValueType>(type: T): Local<T> => {
    declared.push(type);
    return makeLocal(type, definition.params.length + declared.length - 1);
  };
  /** Blocks that are open: how far `leave` must branch. */
  let nesting = 0;
  const set = (local: Local, value: Expr): void => {
    value.emit(code);
    code.push(0x21);
    writeUnsigned(code, local.index);
  };
  const branchIf = (condition: I32, depth: number): void => {
    condition.emit(code);
    code.push(0x0d);
    writeUnsigned(code, depth);
  };
  const body: FunctionBody = {
    local: newLocal,
    let: (initial) => {
      const local = newLocal(initial.type);
      set(local, initial);
      return local;
    },
    set,
    increment: (local, amount) => set(local, i32.add(local, amount)),
    do: (statement) => statement.emit(code),
    forever: (inside) => {
      code.push(0x02, 0x40, 0x03, 0x40); // block, loop
      nesting += 2;
      const own = nesting;
      inside((condition) => branchIf(condition, nesting - own + 1));
      nesting -= 2;
      code.push(0x0c, 0, 0x0b, 0x0b); // br 0, end, end
    },
    for: (start, end, step, inside, { atLeastOnce = false } = {}) => {
      const index = body.let(asI32(start));
      if (!atLeastOnce) {
        i32.ltU(index, end).emit(code);
        code.push(0x04, 0x40); // if
      }
      code.push(0x03, 0x40); // loop
      nesting += atLeastOnce ? 1 : 2;
      inside(index);
      nesting -= atLeastOnce ? 1 : 2;
      body.increment(index, step);
      branchIf(i32.ltU(index, end), 0);
      code.push(0x0b);
      if (!atLeastOnce) code.push(0x0b);
    },
    if: (condition, then, otherwise) => {
      condition.emit(code);
      code.push(0x04, 0x40);
      nesting++;
      then();
      if (otherwise) {
        code.push(0x05);
        otherwise();
      }
      nesting--;
      code.push(0x0b);
    },
    call: (imported, args) => ({
      type: imported.result,
      emit: (out) => {
        for (const arg of args) arg.emit(out);
        out.push(0x10);
        writeUnsigned(out, importIndex(imported));
      },
    }),
  };
  definition.build(
    body,
    ...(definition.params.map((type, index) => makeLocal(type, index)) as unknown as Parameters<
      typeof definition.build
    > extends [FunctionBody, ...infer R]
      ? R
      : never),
  );
  code.push(0x0b);

  const locals: Bytes[] = [];
  for (let i = 0; i < declared.length; ) {
    const type = declared[i] as ValueType;
    let count = 1;
    while (declared[i + count] === type) count++;
    const run: Bytes = [];
    writeUnsigned(run, count);
    run.push(typeCodes[type]);
    locals.push(run);
    i += count;
  }
  const content: Bytes = [];
  vector(content, locals);
  const out: Bytes = [];
  writeUnsigned(out, content.length + code.length);
  for (const byte of content) out.push(byte);
  for (const byte of code) out.push(byte);
  return out;
};

/** The binary module. Functions return nothing and are exported by their names. */
export const assemble = ({ memory, functions }: ModuleDefinition): Uint8Array<ArrayBuffer> => {
  const imports: Imported[] = [];
  // Imported functions come first in the index space, in the order in which the bodies name them.
  const importIndex = (imported: Imported): number => {
    const known = imports.findIndex(({ name }) => name === imported.name);
    if (known >= 0) return known;
    imports.push(imported);
    return imports.length - 1;
  };
  const bodies = functions.map((definition) => functionCode(definition, importIndex));

  const types = [
    ...imports.map(({ params, result }) => ({ params, results: [result] })),
    ...functions.map(({ params }) => ({ params, results: [] })),
  ].map(({ params, results }) => {
    const type: Bytes = [0x60];
    for (const list of [params, results])
      vector(
        type,
        list.map((t) => [typeCodes[t]]),
      );
    return type;
  });

  const importSection: Bytes[] = imports.map(({ name }, index) => {
    const entry: Bytes = [];
    writeName(entry, "host");
    writeName(entry, name);
    entry.push(0x00);
    writeUnsigned(entry, index);
    return entry;
  });
  const memoryImport: Bytes = [];
  writeName(memoryImport, "host");
  writeName(memoryImport, "memory");
  memoryImport.push(0x02, memory.shared ? 0x03 : 0x01);
  writeUnsigned(memoryImport, memory.initial);
  writeUnsigned(memoryImport, memory.maximum);
  importSection.push(memoryImport);

  const functionSection = functions.map((_, index) => {
    const entry: Bytes = [];
    writeUnsigned(entry, imports.length + index);
    return entry;
  });
  const exportSection = functions.map(({ name }, index) => {
    const entry: Bytes = [];
    writeName(entry, name);
    entry.push(0x00);
    writeUnsigned(entry, imports.length + index);
    return entry;
  });

  const out: Bytes = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  for (const [id, items] of [
    [1, types],
    [2, importSection],
    [3, functionSection],
    [7, exportSection],
    [10, bodies],
  ] as const) {
    const section: Bytes = [];
    vector(section, items);
    out.push(id);
    writeUnsigned(out, section.length);
    for (const byte of section) out.push(byte);
  }
  return Uint8Array.from(out);
};
