/**
 * C[m, n] = Σ_k A(m, k)·B(k, n), tiled: the one template that matrix products and all passes of convolutions are made
 * from. A workgroup computes a tile of C; slices of A and B pass through workgroup memory, and each thread keeps a block
 * of C in registers. What A, B and C are, the operands say: small WGSL functions, so that an image can be multiplied as
 * if it had been unfolded.
 *
 * Where there are too few tiles to fill a device, k is split among workgroups, and a second pass adds up the parts in
 * order: results never depend on timing.
 */
import { type Operand, sizeOf } from "@striate/core/backend";
import type { GpuStorage, Stream } from "../stream.js";
import { mathFor } from "../wgsl/math.js";
import { i32, type Param, reads, repeat, type Shader, writes } from "../wgsl/shader.js";
import { sumParts } from "./reduce.js";

/**
 * A (outer = m) or B (outer = n). Three WGSL function bodies split the address arithmetic, so that as much as possible
 * of it leaves the loops: `outer` sees `z` and `i`, `inner` sees `k`, both give a vec4i of the operand's choice; `load`
 * sees these two as `o` and `k`, and gives the element. All are in range.
 */
export interface GemmOperand {
  readonly outer: string;
  readonly inner: string;
  readonly load: string;
  /** Which index walks through neighbours in memory. */
  readonly along: "outer" | "k";
  /** Along `outer` only: elements come in aligned fours; `load` gives a vec4f, the binding holds them. */
  readonly vector?: boolean;
  readonly declarations?: string;
}

/** How sizes are written in WGSL: as numbers, or as parameters of those names. */
export type SizeTexts<N extends string> = Readonly<Record<N, string>>;

export interface GemmOperands {
  readonly a: GemmOperand;
  readonly b: GemmOperand;
  /** C[m, n] of product z is element column + m·rowStride: i32 expressions, `column` one of `z` and `n`. */
  readonly column: string;
  readonly rowStride: string;
}

export interface Gemm<N extends string = string> {
  readonly op: string;
  /** What the operands' sources depend on, besides sizes. */
  readonly variant: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Independent products: `z`. */
  readonly batch: number;
  /** Integers that the operands' sources speak of. */
  readonly sizes: Readonly<Record<N, number>>;
  operands(sizes: SizeTexts<N>): GemmOperands;
  /** Storages bound as the arrays `a`, `b` and, where given, `bias`, indexed by z·m + row. */
  readonly inputs: readonly [GpuStorage, GpuStorage, (GpuStorage | undefined)?];
  readonly output: Operand<GpuStorage>;
  /** Ends in a ReLU; for products that `isWhole`. */
  readonly relu?: boolean;
  /** Whether the output may be the gradient of a parameter: see `Dispatch.shared`. */
  readonly forUpdate?: boolean;
}

/**
 * Floating-point operations up to which sizes are parameters: one pipeline for all small products, since compiling one
 * takes longer than many of them run. Above, sizes are constants, and divisions by them cost little.
 */
const SMALL = 2 ** 21;

/** Sizes of a workgroup's tile, of a thread's block in it, and of a slice of k. */
interface Tile {
  readonly bm: number;
  readonly bn: number;
  readonly tm: number;
  readonly tn: number;
  readonly tk: number;
}

const tile = (bm: number, bn: number, tm = 4, tn = 4, tk = 16): Tile => ({ bm, bn, tm, tn, tk });

const smallTile = tile(32, 32);

const tiles: readonly Tile[] = [
  tile(128, 128, 8, 8, 8),
  tile(64, 64),
  tile(32, 64),
  tile(64, 32),
  tile(16, 64),
  tile(64, 16),
  smallTile,
];

type Extents = Pick<Gemm, "m" | "n" | "batch">;

const tilesIn = ({ bm, bn }: Tile, { m, n, batch }: Extents): number => Math.ceil(m / bm) * Math.ceil(n / bn) * batch;

/** Workgroups that keep a large device busy. */
const PLENTY = 256;

/** The largest tile of those that waste least: outside of C a tile computes for nothing. */
export const tileFor = (gemm: Extents): Tile => {
  let best = smallTile;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of tiles) {
    const { bm, bn } = candidate;
    const computed = tilesIn(candidate, gemm) * bm * bn;
    // Traffic from memory to workgroups falls with the tile's size; a tile too many costs more than that saves.
    const idle = tilesIn(candidate, gemm) < PLENTY ? 1 + (bm * bn) / 16384 : 1;
    const cost = computed * (1 + 8 / bm + 8 / bn) * idle;
    if (cost < least) {
      least = cost;
      best = candidate;
    }
  }
  return best;
};

const components = ["x", "y", "z", "w"];

/** Loads of one operand's slice into workgroup memory: quads of neighbours along its outer index, at one k. */
const slice = (
  name: "a" | "b",
  operand: GemmOperand,
  {
    outer,
    extent,
    tk,
    threads,
    guarded,
  }: { outer: string; extent: string; tk: number; threads: number; guarded: boolean },
  width: number,
): { hoisted: string; loads: string } => {
  const quads = width / 4;
  const count = (quads * tk) / threads;
  const alongOuter = operand.along === "outer";
  const quadAt = (l: number): string =>
    alongOuter ? `thread % ${quads}u` : `thread / ${tk}u + ${(l * threads) / tk}u`;
  const kAt = (l: number): string =>
    alongOuter ? `thread / ${quads}u + ${(l * threads) / quads}u` : `thread % ${tk}u`;
  const stateCount = alongOuter ? 1 : count;
  const lanes = operand.vector ? 1 : 4;
  const hoisted = repeat(
    stateCount,
    (l) => `
let ${name}Quad${l} = ${quadAt(l)};
${repeat(
  lanes,
  (lane) => `
let ${name}Index${l}_${lane} = ${outer} + i32(${name}Quad${l}) * 4 + ${lane};
let ${name}Outer${l}_${lane} = ${name}Outer(z, ${guarded ? `min(${name}Index${l}_${lane}, ${extent} - 1)` : `${name}Index${l}_${lane}`});`,
)}`,
  );
  const loads = repeat(count, (l) => {
    const state = alongOuter ? 0 : l;
    const k = `${name}K${l}`;
    const element = (lane: number): string => `${name}Load(${name}Outer${state}_${lane}, ${k}State)`;
    const inside = (lane: number): string => `${name}Index${state}_${lane} < ${extent}`;
    const value = operand.vector
      ? // A vector lies inside or outside as a whole: its axis is a multiple of 4.
        guarded
        ? `if (${inside(0)}) { ${name}Value${l} = ${element(0)}; }`
        : `${name}Value${l} = ${element(0)};`
      : repeat(4, (lane) =>
          guarded
            ? `if (${inside(lane)}) { ${name}Value${l}.${components[lane]} = ${element(lane)}; }`
            : `${name}Value${l}.${components[lane]} = ${element(lane)};`,
        );
    return `
let ${k} = k0 + i32(${kAt(l)});
var ${name}Value${l} = vec4f(0.0);
if (${k} < kEnd) {
  let ${k}State = ${name}Inner(${k});
  ${value}
}
${name}Slice[(${kAt(l)}) * ${quads}u + ${name}Quad${state}] = ${name}Value${l};`;
  });
  return { hoisted, loads };
};

const operandSource = (name: "a" | "b", { outer, inner, load, vector, declarations = "" }: GemmOperand): string => `
${declarations}
fn ${name}Outer(z: i32, i: i32) -> vec4i { ${outer} }
fn ${name}Inner(k: i32) -> vec4i { ${inner} }
fn ${name}Load(o: vec4i, k: vec4i) -> ${vector ? "vec4f" : "f32"} { ${load} }`;

const sizeNames = ["m", "n", "k", "batch", "mTiles", "nTiles", "parts", "chunk", "size"] as const;

const gemmShader = (
  gemm: Pick<Gemm, "operands" | "inputs" | "relu">,
  { bm, bn, tm, tn, tk }: Tile,
  sizes: SizeTexts<string>,
  guarded: { readonly m: boolean; readonly n: boolean },
  params: readonly Param[],
): Shader => {
  const { a, b, column, rowStride } = gemm.operands(sizes);
  const { m, n, k, batch, mTiles, nTiles, parts, chunk, size } = sizes as SizeTexts<(typeof sizeNames)[number]>;
  const [rows, columns] = [bm / tm, bn / tn];
  const threads = rows * columns;
  const aSlice = slice("a", a, { outer: "m0", extent: m, tk, threads, guarded: guarded.m }, bm);
  const bSlice = slice("b", b, { outer: "n0", extent: n, tk, threads, guarded: guarded.n }, bn);
  const [aQuads, bQuads] = [bm / 4, bn / 4];
  const [rowQuads, columnQuads] = [tm / 4, tn / 4];
  const bias = gemm.inputs[2] !== undefined;
  const result = (value: string): string => (gemm.relu ? `relu(${value})` : value);
  // Of a single slice, what lies beyond k is zeros.
  const shortSlice = Number(k) < tk ? Math.ceil(Number(k) / 4) * 4 : undefined;
  // Blocks of a thread are quads that lie a whole row of threads apart: neighbours read neighbours.
  const rowOf = (i: number): string => `m0 + ${Math.floor(i / 4) * rows * 4 + (i % 4)} + row * 4`;
  const multiply = (kk: number): string => `
  ${repeat(rowQuads, (q) => `let a${kk}_${q} = aSlice[(kk + ${kk}u) * ${aQuads}u + ${q * rows}u + u32(row)];`)}
  ${repeat(columnQuads, (q) => `let b${kk}_${q} = bSlice[(kk + ${kk}u) * ${bQuads}u + ${q * columns}u + u32(col)];`)}
  ${repeat(tm, (i) => repeat(columnQuads, (q) => `c${i}_${q} += a${kk}_${Math.floor(i / 4)}.${components[i % 4]} * b${kk}_${q};`, " "))}`;
  const guardedRow = (text: string, i: number): string => (!guarded.m ? text : `if (${rowOf(i)} < ${m}) { ${text} }`);
  const guardedColumn = (text: string, q: number, lane: number): string =>
    !guarded.n ? text : `if (column${q} + ${lane} < ${n}) { ${text} }`;
  return {
    bindings: [
      reads("a", a.vector ? "vec4<f32>" : "f32"),
      reads("b", b.vector ? "vec4<f32>" : "f32"),
      ...(bias ? [reads("bias", "f32")] : []),
      writes("c", "f32"),
    ],
    params,
    threads,
    declarations: `
${gemm.relu ? mathFor("relu(") : ""}
${operandSource("a", a)}
${operandSource("b", b)}
fn columnOf(z: i32, n: i32) -> i32 { return ${column}; }
var<workgroup> aSlice: array<vec4f, ${tk * aQuads}>;
var<workgroup> bSlice: array<vec4f, ${tk * bQuads}>;`,
    body: `
let tile = i32(group);
if (tile >= ${mTiles} * ${nTiles} * ${batch} * ${parts}) { return; }
let m0 = tile % ${mTiles} * ${bm};
let n0 = tile / ${mTiles} % ${nTiles} * ${bn};
let z = tile / (${mTiles} * ${nTiles}) % ${batch};
let part = tile / (${mTiles} * ${nTiles} * ${batch});
let row = i32(thread / ${columns}u);
let col = i32(thread % ${columns}u);
let kEnd = min((part + 1) * ${chunk}, ${k});
${aSlice.hoisted}
${bSlice.hoisted}
${repeat(tm, (i) => repeat(columnQuads, (q) => `var c${i}_${q} = vec4f(0.0);`, " "))}
for (var k0 = part * ${chunk}; k0 < kEnd; k0 += ${tk}) {
  ${aSlice.loads}
  ${bSlice.loads}
  workgroupBarrier();
  for (var kk = 0u; kk < ${shortSlice ?? tk}u; kk += 4u) {
    ${repeat(4, multiply)}
  }
  workgroupBarrier();
}
${repeat(columnQuads, (q) => `let column${q} = n0 + ${q * columns * 4} + col * 4;`)}
let base = part * ${size};
${
  bias
    ? repeat(tm, (i) =>
        guardedRow(
          `let shift${i} = select(0.0, bias[z * ${m} + ${rowOf(i)}], part == 0); ${repeat(columnQuads, (q) => `c${i}_${q} += shift${i};`, " ")}`,
          i,
        ),
      )
    : ""
}
${repeat(columnQuads, (q) =>
  repeat(4, (lane) =>
    guardedColumn(
      `{ let at = base + columnOf(z, column${q} + ${lane}); ${repeat(tm, (i) => guardedRow(`c[at + (${rowOf(i)}) * ${rowStride}] = ${result(`c${i}_${q}.${components[lane]}`)};`, i), " ")} }`,
      q,
      lane,
    ),
  ),
)}`,
  };
};

/** How a product is cut: into tiles, and k into parts. */
const cut = ({ m, n, k, batch }: Extents & Pick<Gemm, "k">) => {
  const small = 2 * m * n * k * batch <= SMALL;
  const chosen = small ? smallTile : tileFor({ m, n, batch });
  const workgroups = tilesIn(chosen, { m, n, batch });
  // A part of k is worth a workgroup if it is some slices long.
  const wished = Math.max(1, Math.min(Math.ceil(PLENTY / workgroups), Math.floor(k / (8 * chosen.tk)), 64));
  const chunk = Math.ceil(k / wished / chosen.tk) * chosen.tk;
  return { small, chosen, workgroups, chunk, parts: Math.ceil(k / chunk) };
};

/** One pass does it all: k is not parted. */
export const isWhole = (extents: Extents & Pick<Gemm, "k">): boolean => cut(extents).parts === 1;

export const dispatchGemm = <N extends string>(stream: Stream, gemm: Gemm<N>): void => {
  const { op, variant, m, n, k, batch, inputs, forUpdate } = gemm;
  const { storage: output, shape } = gemm.output;
  const size = sizeOf(shape);
  const flops = 2 * m * n * k * batch;
  const { small, chosen, workgroups, chunk, parts } = cut(gemm);
  const target = parts === 1 ? output : stream.scratch(size * parts * 4);
  const [mTiles, nTiles] = [Math.ceil(m / chosen.bm), Math.ceil(n / chosen.bn)];
  const own: Record<(typeof sizeNames)[number], number> = { m, n, k, batch, mTiles, nTiles, parts, chunk, size };
  const sizes: Readonly<Record<string, number>> = { ...gemm.sizes, ...own };
  const names = Object.keys(sizes);
  const texts = Object.fromEntries(names.map((name) => [name, small ? `p.${name}` : `${sizes[name]}`]));
  const guarded = { m: small || m % chosen.bm !== 0, n: small || n % chosen.bn !== 0 };
  const words = Object.values(sizes);
  stream.dispatch({
    program: {
      label: op,
      key: `${op}/${variant}/${small ? "any" : `${words.join("_")}/${Object.values(chosen).join("_")}`}`,
      shader: () => gemmShader(gemm as Gemm, chosen, texts, guarded, small ? i32(...names) : []),
      flops,
    },
    inputs: inputs.filter((storage) => storage !== undefined),
    outputs: [target],
    ...(forUpdate && { shared: [output] }),
    ...(small && { params: words }),
    groups: workgroups * parts,
  });
  if (parts === 1) return;
  sumParts(stream, op, target, parts, size, output);
  stream.release(target);
};
