import { f32x4, v128 } from "./assembler/instructions.js";
import { assemble, defineFunction } from "./assembler/module.js";

/** Whether the engine takes modules with 128-bit vectors. */
export const simdIsThere = (): boolean =>
  typeof WebAssembly === "object" &&
  WebAssembly.validate(
    assemble({
      memory: { initial: 0, maximum: 1, shared: false },
      functions: [
        defineFunction({
          name: "probe",
          params: ["i32"],
          build: (body, address) => body.do(v128.store(address, f32x4.add(v128.load(address), f32x4.const(1)))),
        }),
      ],
    }),
  );
