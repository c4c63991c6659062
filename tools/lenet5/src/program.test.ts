import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { program } from "./program.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-lenet5-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = async (...args: string[]) => {
  const said = { out: "", err: "" };
  const exit = await program(args, {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
  });
  return { exit, ...said };
};

describe("the program ends with", () => {
  test("ok after its help", async () => {
    const { exit, out } = await run("--help");
    expect(exit).toBe("ok");
    expect(out).toContain("Train LeNet-5 on MNIST as in 1998");
  });

  test("usage for a wrong option", async () => {
    expect((await run("--passes", "none")).exit).toBe("usage");
  });

  test("data where MNIST is not", async () => {
    const { exit, out, err } = await run("--data", folder, "--offline");
    expect(exit).toBe("data");
    expect(out).toBe("");
    expect(err).toContain("train-images-idx3-ubyte");
  });

  test("output where the weights cannot be written, before anything is trained", async () => {
    const file = join(folder, "missing", "weights.safetensors");
    const { exit, err } = await run("--out", file, "--data", folder);
    expect(exit).toBe("output");
    expect(err).toContain(`lenet5: cannot write ${file}: ENOENT`);
  });
});
