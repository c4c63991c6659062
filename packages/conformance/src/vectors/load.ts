import { mergeVectors, parseJsonVectors, parseOperators, type Vectors } from "./parse.js";

/** A file of a folder of vectors, wherever it lies. */
export interface VectorFile {
  /** Relative to the folder, parts separated by `/`. */
  readonly name: string;
  read(): Promise<Uint8Array>;
}

const jsonName = /([^/]*)\.json$/;

const loadFile = async ({ name, read }: VectorFile): Promise<Partial<Vectors> | undefined> => {
  try {
    if (name.endsWith(".safetensors")) return { operators: parseOperators(await read()) };
    const json = jsonName.exec(name);
    return json ? parseJsonVectors(new TextDecoder().decode(await read()), json[1] as string) : undefined;
  } catch (error) {
    return { unreadable: [{ file: name, reason: (error as Error).message }] };
  }
};

/** What a file holds is told by its contents; files of other kinds are passed over, broken ones become failed cases. */
export const loadVectorFiles = async (files: readonly VectorFile[]): Promise<Vectors> => {
  const loaded = await Promise.all(files.map(loadFile));
  return mergeVectors(loaded.flatMap((part) => (part ? [part] : [])));
};
