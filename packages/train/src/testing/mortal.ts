/** A disk whose process dies, by its own hand, at any point that is asked for: between two calls, or in the middle of one. */
import fs from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import type { FileSystem } from "@striate/checkpoint/node";
import type { LineFileSystem } from "../node/json-lines.js";

export interface Mortal {
  readonly files: FileSystem;
  readonly lineFiles: LineFileSystem;
  /** A point outside the disk at which the process may die. */
  point(): void;
  /** Points passed: all, and those within a save of a checkpoint. */
  readonly passed: { readonly all: number; readonly saving: number };
}

export interface Death {
  /** Dies at so many points, counted from 1. */
  readonly at: number;
  /** Counts only those within a save. */
  readonly saving: boolean;
}

/** `die` does not return. */
export const mortal = (
  death: Death | undefined,
  die: () => void = () => process.kill(process.pid, "SIGKILL"),
): Mortal => {
  const passed = { all: 0, saving: 0 };
  let saving = false;
  /** True where the process is to die in the middle of the call that follows. */
  const pass = (): boolean => {
    passed.all++;
    if (saving) passed.saving++;
    return death !== undefined && (death.saving ? saving && passed.saving === death.at : passed.all === death.at);
  };
  const point = (): void => {
    if (pass()) die();
  };
  return {
    point,
    passed,
    files: {
      open: async (path, flags) => {
        saving = true;
        point();
        const handle = await open(path, flags);
        return {
          writeFile: async (bytes) => {
            if (pass()) {
              await handle.writeFile(bytes.subarray(0, bytes.length >> 1));
              die();
            }
            await handle.writeFile(bytes);
            point();
          },
          sync: async () => {
            point();
            await handle.sync();
          },
          close: async () => {
            await handle.close();
            point();
            // That of the folder is the end of a save.
            if (flags === "r") saving = false;
          },
        };
      },
      rename: async (from, to) => {
        point();
        await rename(from, to);
        point();
      },
      rm,
    },
    lineFiles: {
      ...fs,
      writeSync: ((descriptor: number, bytes: Uint8Array, at: number) => {
        if (pass()) {
          fs.writeSync(descriptor, bytes, at, (bytes.length - at) >> 1);
          die();
        }
        return fs.writeSync(descriptor, bytes, at);
      }) as typeof fs.writeSync,
    },
  };
};
