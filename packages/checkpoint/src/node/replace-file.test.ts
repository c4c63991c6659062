import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FileSystem, removeTemporaries, replaceFile } from "./replace-file.js";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "striate-checkpoint-"));
  path = join(folder, "net.safetensors");
});
afterEach(() => fs.rm(folder, { recursive: true }));

const text = (...parts: string[]): Uint8Array[] => parts.map((part) => Buffer.from(part));
const contents = (file = path): Promise<string> => fs.readFile(file, "utf8");

const systemError = (code: string, syscall: string): Error =>
  Object.assign(new Error(`${code}: injected, ${syscall}`), { code, syscall });

type Step = "open" | "write" | "sync" | "close" | "rename" | "open folder" | "sync folder" | "close folder" | "rm";

/** The real file system, with `before` called at every step; what it throws happens instead of the step. */
const watched = (before: (step: Step) => void): FileSystem => ({
  open: async (name, flags) => {
    const suffix = flags === "r" ? " folder" : "";
    before(`open${suffix}` as Step);
    const handle = await fs.open(name, flags);
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
        before(`sync${suffix}` as Step);
        await handle.sync();
      },
      close: async () => {
        // A close that fails closes nevertheless.
        await handle.close();
        before(`close${suffix}` as Step);
      },
    };
  },
  rename: async (from, to) => {
    before("rename");
    await fs.rename(from, to);
  },
  rm: async (name) => {
    before("rm");
    await fs.rm(name);
  },
});

const failingAt = (step: Step, code: string): FileSystem =>
  watched((now) => {
    if (now === step) throw systemError(code, step);
  });

describe("replaceFile", () => {
  test("makes a file of the chunks, and leaves nothing else", async () => {
    await replaceFile(path, text("ab", "", "cd"));
    expect(await contents()).toBe("abcd");
    expect(await fs.readdir(folder)).toEqual(["net.safetensors"]);
  });

  test("replaces a longer file", async () => {
    await fs.writeFile(path, "something longer");
    await replaceFile(path, text("new"));
    expect(await contents()).toBe("new");
  });

  test("takes chunks that come later, and none", async () => {
    await replaceFile(
      path,
      (async function* () {
        yield* text("a", "b");
      })(),
    );
    expect(await contents()).toBe("ab");
    await replaceFile(path, []);
    expect(await contents()).toBe("");
  });

  test("takes a name as long as the system allows", async () => {
    const long = join(folder, "n".repeat(255));
    await replaceFile(long, text("a"));
    expect(await contents(long)).toBe("a");
  });

  test("does every step in the order that survives a power cut", async () => {
    const steps: Step[] = [];
    await replaceFile(
      path,
      text("a", "b"),
      watched((step) => steps.push(step)),
    );
    expect(steps).toEqual([
      "open",
      "write",
      "write",
      "sync",
      "close",
      "rename",
      "open folder",
      "sync folder",
      "close folder",
    ]);
  });

  test("opens the temporary file exclusively, in the same folder", async () => {
    const opened: [string, string][] = [];
    const files: FileSystem = {
      ...watched(() => undefined),
      open: (name, flags) => {
        opened.push([name, flags]);
        return fs.open(name, flags);
      },
    };
    await replaceFile(path, text("a"), files);
    await replaceFile(path, text("a"), files);
    const temporaries = opened.filter(([, flags]) => flags === "wx").map(([name]) => name);
    expect(new Set(temporaries).size).toBe(2);
    for (const name of temporaries) expect(join(name, "..")).toBe(folder);
    expect(opened.filter(([, flags]) => flags === "r").map(([name]) => name)).toEqual([folder, folder]);
  });

  test("a relative path is relative to the current folder", async () => {
    const opened: string[] = [];
    const files: FileSystem = {
      ...watched(() => undefined),
      open: async (name) => {
        opened.push(name);
        throw systemError("EACCES", "open");
      },
    };
    await expect(replaceFile("net.safetensors", [], files)).rejects.toMatchObject({ code: "checkpoint-write" });
    expect(opened).toHaveLength(1);
    expect(opened[0]).toMatch(/^\.[^/\\]+$/);
  });

  test.each<[Step, string]>([
    ["open", "EACCES"],
    ["open", "EROFS"],
    ["open", "EMFILE"],
    ["write", "ENOSPC"],
    ["write", "EDQUOT"],
    ["write", "EFBIG"],
    ["write", "EIO"],
    ["sync", "EIO"],
    ["sync", "ENOSPC"],
    ["close", "EIO"],
    ["rename", "EACCES"],
    ["rename", "EISDIR"],
  ])("%s fails with %s: a typed error, the old file intact, no temporary left", async (step, code) => {
    await fs.writeFile(path, "old");
    const failed = replaceFile(path, text("new", "er"), failingAt(step, code));
    await expect(failed).rejects.toMatchObject({
      name: "CheckpointError",
      code: "checkpoint-write",
      message: expect.stringContaining(`cannot write ${path}: ${code}`),
      cause: { code },
    });
    expect(await contents()).toBe("old");
    expect(await fs.readdir(folder)).toEqual(["net.safetensors"]);
  });

  test("the first error is reported, even if the temporary file cannot be removed", async () => {
    const files = watched((step) => {
      if (step === "write") throw systemError("ENOSPC", step);
      if (step === "rm") throw systemError("EIO", step);
    });
    await expect(replaceFile(path, text("a"), files)).rejects.toMatchObject({ cause: { code: "ENOSPC" } });
  });

  test.each<[Step, string]>([
    ["open folder", "EMFILE"],
    ["sync folder", "EIO"],
    ["close folder", "EIO"],
  ])("%s fails with %s: a typed error, the new file whole", async (step, code) => {
    await fs.writeFile(path, "old");
    await expect(replaceFile(path, text("new"), failingAt(step, code))).rejects.toMatchObject({
      code: "checkpoint-write",
      cause: { code },
    });
    expect(await contents()).toBe("new");
    expect(await fs.readdir(folder)).toEqual(["net.safetensors"]);
  });

  test.each(["EINVAL", "ENOTSUP"])("a file system that cannot flush folders (%s) is no failure", async (code) => {
    await replaceFile(path, text("new"), failingAt("sync folder", code));
    expect(await contents()).toBe("new");
  });

  test("what the chunks throw comes out as it is, the old file intact", async () => {
    await fs.writeFile(path, "old");
    const mine = new Error("mine");
    const chunks = function* () {
      yield* text("new");
      throw mine;
    };
    await expect(replaceFile(path, chunks())).rejects.toBe(mine);
    expect(await contents()).toBe("old");
    expect(await fs.readdir(folder)).toEqual(["net.safetensors"]);
  });

  test("killed at any step: the file is the old or the new one, whole, and the rest is swept", async () => {
    let steps = 0;
    await replaceFile(
      path,
      text("count", "the steps"),
      watched(() => steps++),
    );
    expect(steps).toBe(9);
    const outcomes: string[] = [];
    for (let last = 0; last < steps; last++) {
      await fs.writeFile(path, "old");
      let done = 0;
      // Dead: no step happens any more, not even the clean-up.
      const killed = watched(() => {
        if (done++ >= last) throw systemError("KILLED", "kill");
      });
      await expect(replaceFile(path, text("new", "er"), killed)).rejects.toMatchObject({ cause: { code: "KILLED" } });
      outcomes.push(await contents());
      await removeTemporaries(folder);
      expect(await fs.readdir(folder)).toEqual(["net.safetensors"]);
    }
    // Up to and with the rename, the sixth, the old one.
    expect(outcomes).toEqual([..."oooooonnn"].map((o) => (o === "o" ? "old" : "newer")));
  });

  test("writers of one file at a time: one of them wins, whole", async () => {
    const candidates = Array.from({ length: 8 }, (_, i) => String(i).repeat(1000 * (i + 1)));
    await Promise.all(candidates.map((candidate) => replaceFile(path, text(candidate))));
    expect(candidates).toContain(await contents());
    expect(await fs.readdir(folder)).toEqual(["net.safetensors"]);
  });

  test("a link is replaced, not followed", async () => {
    const target = join(folder, "target");
    await fs.writeFile(target, "old");
    await fs.symlink(target, path);
    await replaceFile(path, text("new"));
    expect(await contents(target)).toBe("old");
    expect((await fs.lstat(path)).isFile()).toBe(true);
  });

  // The real system's refusals; these tests may run as root, so permissions cannot be among them.
  test("a folder that does not exist", async () => {
    await expect(replaceFile(join(folder, "missing", "x"), text("a"))).rejects.toMatchObject({
      code: "checkpoint-write",
      cause: { code: "ENOENT" },
    });
  });

  test("a folder that is a file", async () => {
    await fs.writeFile(path, "old");
    await expect(replaceFile(join(path, "x"), text("a"))).rejects.toMatchObject({
      code: "checkpoint-write",
      cause: { code: "ENOTDIR" },
    });
  });

  test("a file that is a folder", async () => {
    await fs.mkdir(path);
    await expect(replaceFile(path, text("a"))).rejects.toMatchObject({
      code: "checkpoint-write",
      cause: { code: "EISDIR" },
    });
    expect(await fs.readdir(folder)).toEqual(["net.safetensors"]);
  });

  test.skipIf(!existsSync("/dev/full"))("a disk that is full", async () => {
    await fs.writeFile(path, "old");
    const files: FileSystem = { ...watched(() => undefined), open: () => fs.open("/dev/full", "w") };
    await expect(replaceFile(path, text("a"), files)).rejects.toMatchObject({
      code: "checkpoint-write",
      cause: { code: "ENOSPC" },
    });
    expect(await contents()).toBe("old");
  });
});

describe("removeTemporaries", () => {
  test("removes what a killed save left, and nothing else", async () => {
    const dead = watched((step) => {
      if (step === "sync" || step === "rm") throw systemError("KILLED", "kill");
    });
    await expect(replaceFile(path, text("a"), dead)).rejects.toThrow();
    await expect(replaceFile(path, text("a"), dead)).rejects.toThrow();
    expect(await fs.readdir(folder)).toHaveLength(2);
    const others = [".unsaved", "net.unsaved", `${"0".repeat(36)}.unsaved`, "net.safetensors"];
    for (const name of others) await fs.writeFile(join(folder, name), "");
    await removeTemporaries(folder);
    expect((await fs.readdir(folder)).sort()).toEqual(others.sort());
  });

  test("a folder that does not exist", async () => {
    await expect(removeTemporaries(join(folder, "missing"))).rejects.toMatchObject({
      code: "checkpoint-write",
      cause: { code: "ENOENT" },
    });
  });
});
