// The packages as npm would publish them: packed, and installed into a project outside of the workspace.
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CheckFailure, installed, mustSucceed, root, run } from "./run.mjs";

/**
 * @typedef {object} Packed
 * @property {string} name
 * @property {string} tarball
 * @property {string} folder where it is installed
 * @property {string[]} entries what can be imported: `@striate/core`, `@striate/core/backend` …
 */

/**
 * Packs every package and installs the tarballs in `project`, each with the dependencies that its packed manifest
 * declares and no others. Third-party packages are those of the workspace, so this needs no network.
 * @param {string} project a folder to be made
 * @returns {Promise<Packed[]>}
 */
export const installPacked = async (project) => {
  const tarballs = join(project, "tarballs");
  mkdirSync(tarballs, { recursive: true });
  await mustSucceed(run("pnpm", ["--recursive", "--filter", "./packages/*", "pack", "--pack-destination", tarballs]));
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));

  /** @type {Packed[]} */
  const packages = [];
  for (const directory of readdirSync(join(root, "packages")).sort()) {
    const source = join(root, "packages", directory);
    const { name, version } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
    const tarball = join(tarballs, `${name.slice(1).replace("/", "-")}-${version}.tgz`);
    const folder = join(project, "node_modules", name);
    mkdirSync(folder, { recursive: true });
    await mustSucceed(run("tar", ["-xzf", tarball, "-C", folder, "--strip-components=1"]));

    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const dependencies = { ...manifest.dependencies, ...manifest.peerDependencies };
    for (const [dependency, range] of Object.entries(dependencies)) {
      if (/^(workspace|link|file|catalog):/.test(range))
        throw new CheckFailure(`${name} was packed with ${dependency}: ${range}`);
      if (dependency.startsWith("@striate/")) continue; // beside it
      const candidates = [join(source, "node_modules", dependency), installed(dependency)];
      const found = candidates.find((candidate) => existsSync(candidate));
      if (found === undefined) throw new CheckFailure(`${name}: ${dependency} is not installed`);
      link(found, join(folder, "node_modules", dependency));
    }
    const entries = Object.keys(manifest.exports)
      .filter((entry) => !entry.endsWith(".json"))
      .map((entry) => name + entry.slice(1));
    packages.push({ name, tarball, folder, entries });
  }
  return packages;
};

/**
 * @param {string} from
 * @param {string} to
 */
export const link = (from, to) => {
  mkdirSync(join(to, ".."), { recursive: true });
  symlinkSync(realpathSync(from), to, "junction");
};
