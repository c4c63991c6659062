import { assemble, defineFunction, type FunctionBody, type Local } from "../assembler/module.js";

export interface AssembledFunction {
  /** One page. */
  readonly memory: DataView;
  call(...args: number[]): void;
}

/** Assembles a function of `params` int32. `host` are functions that it imports. */
export const assembleFunction = (
  params: number,
  build: (b: FunctionBody, ...params: Local<"i32">[]) => void,
  host: Readonly<Record<string, (...args: number[]) => number>> = {},
): AssembledFunction => {
  const bytes = assemble({
    memory: { initial: 1, maximum: 1, shared: false },
    functions: [
      defineFunction({
        name: "main",
        params: Array.from({ length: params }, () => "i32" as const),
        build: (b, ...rest) => build(b, ...rest),
      }),
    ],
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: { ...host, memory } });
  return { memory: new DataView(memory.buffer), call: exports["main"] as AssembledFunction["call"] };
};
