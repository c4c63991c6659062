/** Compute shaders from their parts. */

/** Element types of storage buffers. int32, uint8 and bool are all held as i32. */
export type Element = "f32" | "i32" | "u32" | "vec2<u32>" | "vec2<f32>" | "vec4<f32>" | "vec4<i32>" | "atomic<u32>";

export interface Binding {
  readonly name: string;
  readonly element: Element;
  readonly access: "read" | "read_write";
}

/** A field of the uniform `p`: 32 bits each; a table comes first. */
export interface Param {
  readonly name: string;
  readonly type: "u32" | "i32" | "f32" | `array<vec4<u32>, ${number}>`;
}

export interface Shader {
  /** In the order in which the dispatch lists its buffers: inputs, then outputs. */
  readonly bindings: readonly Binding[];
  readonly params?: readonly Param[];
  /** Threads of a workgroup. */
  readonly threads: number;
  /** Functions, constants and workgroup variables. */
  readonly declarations?: string;
  /**
   * The entry point's statements. In scope: `thread`, the index within the workgroup, and `group`, the linear index of
   * the workgroup (which may lie beyond the last one that was asked for: guard).
   */
  readonly body: string;
}

export const reads = (name: string, element: Element): Binding => ({ name, element, access: "read" });
export const writes = (name: string, element: Element): Binding => ({ name, element, access: "read_write" });

export const u32 = (...names: readonly string[]): Param[] => names.map((name) => ({ name, type: "u32" }));
export const i32 = (...names: readonly string[]): Param[] => names.map((name) => ({ name, type: "i32" }));
export const f32 = (...names: readonly string[]): Param[] => names.map((name) => ({ name, type: "f32" }));
/** Rows of four words. */
export const tableOf = (name: string, rows: number): Param => ({ name, type: `array<vec4<u32>, ${rows}>` });

/** `text` for each i in 0 … count - 1. */
export const repeat = (count: number, text: (i: number) => string, separator = "\n"): string =>
  Array.from({ length: count }, (_, i) => text(i)).join(separator);

/** Bytes of `p`; a struct ends at a multiple of its largest field's alignment. */
export const paramBytes = (params: readonly Param[]): number =>
  params.reduce(
    (bytes, { type }) => bytes + (type.startsWith("array") ? 16 * Number(/(\d+)>$/.exec(type)?.[1]) : 4),
    0,
  );

/** Source of a whole module with the entry point `main`. */
export const moduleSource = ({ bindings, params = [], threads, declarations = "", body }: Shader): string => `
${bindings
  .map(({ name, element, access }, i) => `@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<${element}>;`)
  .join("\n")}
${
  params.length > 0
    ? `struct Params { ${params.map(({ name, type }) => `${name}: ${type}`).join(", ")} }
@group(0) @binding(${bindings.length}) var<uniform> p: Params;`
    : ""
}
${declarations}
@compute @workgroup_size(${threads})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let group = workgroup.y * workgroups.x + workgroup.x;
${body}
}
`;
