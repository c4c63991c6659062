/**
 * Packing of one side of a matrix product into panels: P consecutive indices i of a matrix X[i, k], all k, so that the P
 * values of each k are neighbours: panel[k][i]. A last panel with fewer indices is filled up with zeros.
 */
import { sizeOf } from "@striate/core/backend";
import { f32, i32, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import type { Runtime } from "../runtime.js";

/** Where X[i, k] lies: element `offset + i * iStep + Σ index_d(k) * steps_d`, k running through `extents`, the last fastest. */
export interface PackSource {
  readonly indices: number;
  readonly iStep: number;
  readonly extents: readonly number[];
  readonly steps: readonly number[];
  readonly offset: number;
}

export const packedElements = ({ indices, extents }: PackSource, panel: number): number =>
  Math.ceil(indices / panel) * panel * sizeOf(extents);

/** Transposes four vectors: lane i of vector j becomes lane j of vector i. */
export const transpose4 = (body: FunctionBody, rows: readonly Local<"v128">[]): Local<"v128">[] => {
  const [a, b, c, d] = rows as [Local<"v128">, Local<"v128">, Local<"v128">, Local<"v128">];
  const ab0 = body.let(v128.shuffle(a, b, [0, 4, 1, 5]));
  const ab1 = body.let(v128.shuffle(a, b, [2, 6, 3, 7]));
  const cd0 = body.let(v128.shuffle(c, d, [0, 4, 1, 5]));
  const cd1 = body.let(v128.shuffle(c, d, [2, 6, 3, 7]));
  return [
    body.let(v128.shuffle(ab0, cd0, [0, 1, 4, 5])),
    body.let(v128.shuffle(ab0, cd0, [2, 3, 6, 7])),
    body.let(v128.shuffle(ab1, cd1, [0, 1, 4, 5])),
    body.let(v128.shuffle(ab1, cd1, [2, 3, 6, 7])),
  ];
};

/** Panels that one task packs: some 20 µs of work. */
const panelsPerTask = ({ extents }: PackSource, panel: number): number =>
  Math.max(1, Math.floor(2 ** 15 / (panel * sizeOf(extents))));

/** Packs `matrices` matrices, `matrixStep` elements apart, one behind the other to `destination`. */
export const pack = (
  runtime: Runtime,
  key: string,
  source: PackSource,
  panel: number,
  matrices: number,
  matrixStep: number,
  addresses: { readonly source: number; readonly destination: number },
): void => {
  const total = Math.ceil(source.indices / panel) * matrices;
  const perTask = panelsPerTask(source, panel);
  runtime.run(`pack ${key}`, () => packProgram(source, panel, matrixStep, perTask, total), Math.ceil(total / perTask), [
    addresses.source,
    addresses.destination,
  ]);
};

/** The program (task, scratch, source, destination): panels of all matrices, `perTask` for each task. */
const packProgram = (
  source: PackSource,
  panel: number,
  matrixStep: number,
  perTask: number,
  total: number,
): FunctionDefinition => {
  const { indices, iStep, extents, steps, offset } = source;
  const panels = Math.ceil(indices / panel);
  const k = sizeOf(extents);
  const inner = extents.length - 1;
  const innerExtent = extents[inner] as number;
  const innerStep = steps[inner] as number;
  const rest = indices % panel;

  return defineFunction({
    name: "pack",
    params: ["i32", "i32", "i32", "i32"],
    build: (body, task, _scratch, from, to) => {
      const number = body.let(i32.mul(task, perTask));
      const end = body.let(i32.add(number, perTask));
      body.if(i32.gtU(end, total), () => body.set(end, i32.const(total)));
      const out = body.let(i32.add(to, i32.mul(number, panel * k * 4)));
      const index = body.local("i32");
      const start = body.local("i32");

      /** `valid` of the panel's indices are there. */
      const packPanel = (valid: number): void => {
        const packInner = (source0: Local<"i32">): void => {
          const at = body.let(source0);
          if (iStep === 1 && valid === panel && panel % 4 === 0) {
            body.for(
              0,
              innerExtent,
              1,
              () => {
                for (let i = 0; i < panel; i += 4) body.do(v128.store(out, v128.load(at, 4 * i), 4 * i));
                body.increment(at, innerStep * 4);
                body.increment(out, panel * 4);
              },
              { atLeastOnce: true },
            );
            return;
          }
          let done = 0;
          if (innerStep === 1 && valid === panel && panel % 4 === 0 && innerExtent >= 4) {
            done = innerExtent - (innerExtent % 4);
            body.for(
              0,
              done,
              4,
              () => {
                for (let i = 0; i < panel; i += 4) {
                  const rows = [0, 1, 2, 3].map((r) => body.let(v128.load(i32.add(at, (i + r) * iStep * 4))));
                  transpose4(body, rows).forEach((column, c) => body.do(v128.store(out, column, 4 * (c * panel + i))));
                }
                body.increment(at, 16);
                body.increment(out, panel * 16);
              },
              { atLeastOnce: true },
            );
          }
          if (done < innerExtent)
            body.for(
              done,
              innerExtent,
              1,
              () => {
                for (let i = 0; i < panel; i++)
                  body.do(f32.store(out, i < valid ? f32.load(i32.add(at, i * iStep * 4)) : f32.const(0), 4 * i));
                body.increment(at, innerStep * 4);
                body.increment(out, panel * 4);
              },
              { atLeastOnce: true },
            );
        };
        const nest = (axis: number, base: Local<"i32">): void => {
          if (axis === inner) {
            packInner(base);
            return;
          }
          const at = body.let(base);
          body.for(
            0,
            extents[axis] as number,
            1,
            () => {
              nest(axis + 1, at);
              body.increment(at, (steps[axis] as number) * 4);
            },
            { atLeastOnce: true },
          );
        };
        nest(0, start);
      };

      body.forever((leave) => {
        body.set(index, i32.remU(number, panels));
        const matrix = i32.divU(number, panels);
        body.set(start, i32.add(from, i32.add(i32.mul(matrix, matrixStep * 4), i32.mul(index, panel * iStep * 4))));
        if (offset !== 0) body.increment(start, offset * 4);
        if (rest === 0) packPanel(panel);
        else if (panels === 1) packPanel(rest);
        else
          body.if(
            i32.eq(index, panels - 1),
            () => packPanel(rest),
            () => packPanel(panel),
          );
        body.increment(number, 1);
        leave(i32.geU(number, end));
      });
    },
  });
};
