import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { onTestFinished } from "vitest";

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Bytes that do not compress and differ by seed. */
export const noise = (length: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  for (let i = 0, block = new Uint8Array(0); i < length; i++) {
    if (i % 32 === 0) block = createHash("sha256").update(`${seed}/${i}`).digest();
    bytes[i] = block[i % 32] as number;
  }
  return bytes;
};

/** A folder that is gone after the test. */
export const temporaryFolder = async (): Promise<string> => {
  const folder = await fs.mkdtemp(join(tmpdir(), "striate-data-"));
  onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
  return folder;
};

export interface TarEntry {
  readonly path: string;
  readonly bytes?: Uint8Array;
  /** "0" a file, "1" a hard link, "2" a symbolic link, "5" a folder. */
  readonly type?: string;
  readonly link?: string;
  /** What the header says, where it lies. */
  readonly size?: number;
}

/** A ustar header and its contents: written by hand, so that it can be as hostile as a test wants. */
const tarEntry = ({
  path,
  bytes = new Uint8Array(0),
  type = "0",
  link = "",
  size = bytes.length,
}: TarEntry): Buffer => {
  const header = Buffer.alloc(512);
  header.write(path, 0, 100);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write(type, 156);
  header.write(link, 157, 100);
  header.write("ustar\x0000", 257);
  const sum = header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
};

export const tar = (entries: readonly TarEntry[]): Buffer =>
  Buffer.concat([...entries.map(tarEntry), Buffer.alloc(1024)]);

export const tarGz = (entries: readonly TarEntry[]): Buffer => gzipSync(tar(entries));
