/** The real disk, with `before` called at every step of replacing a file; what it throws happens instead of the step. */
import { open, rename, rm } from "node:fs/promises";
import type { FileSystem } from "@striate/checkpoint/node";

export const diskSteps = [
  "open",
  "write",
  "sync",
  "close",
  "rename",
  "open folder",
  "sync folder",
  "close folder",
] as const;
export type DiskStep = (typeof diskSteps)[number];

export const systemError = (code: string): Error =>
  Object.assign(new Error(`${code}: injected`), { code, syscall: "write" });

export const watchedDisk = (before: (step: DiskStep) => void): FileSystem => ({
  open: async (path, flags) => {
    const suffix = flags === "r" ? " folder" : "";
    before(`open${suffix}`);
    const handle = await open(path, flags);
    return {
      writeFile: async (bytes) => {
        try {
          before("write");
        } catch (error) {
          // A disk runs full in the middle of a write.
          await handle.writeFile(bytes.subarray(0, bytes.length >> 1));
          throw error;
        }
        await handle.writeFile(bytes);
      },
      sync: async () => {
        before(`sync${suffix}`);
        await handle.sync();
      },
      close: async () => {
        await handle.close();
        before(`close${suffix}`);
      },
    };
  },
  rename: async (from, to) => {
    before("rename");
    await rename(from, to);
  },
  rm,
});
