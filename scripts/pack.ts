import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

/*
 * `npm run pack -- FOLDER`: builds every package and writes the tarballs to publish. In the repository the packages'
 * doors are their TypeScript sources, so that nothing has to be built to run; published ones open to `dist/`.
 *
 * It builds a copy of the sources, so that nothing of earlier builds is published, and no server of this repository loses its
 * page meanwhile.
 */

const ROOT = resolve(import.meta.dirname, "..");
/** What the packages' folders have that is not their source. */
const LEFT_OUT = new Set(["dist", "node_modules", "test"]);

interface Manifest {
  name: string;
  exports: Record<string, string>;
  imports?: Record<string, Record<string, string>>;
  files?: string[];
  devDependencies?: unknown;
}

const target = resolve(process.argv[2] ?? join(ROOT, "dist"));
mkdirSync(target, { recursive: true });
const copy = mkdtempSync(join(tmpdir(), "drover-pack-"));
try {
  copySources();
  run("npm", ["run", "--silent", "build"], copy);
  for (const name of readdirSync(join(copy, "packages"))) pack(join(copy, "packages", name));
} finally {
  rmSync(copy, { recursive: true });
}

function copySources(): void {
  for (const name of ["package.json", "tsconfig.json", "tsconfig.base.json"]) {
    cpSync(join(ROOT, name), join(copy, name));
  }
  cpSync(join(ROOT, "packages"), join(copy, "packages"), {
    recursive: true,
    filter: (path) => !LEFT_OUT.has(basename(path)) && !path.endsWith(".tsbuildinfo"),
  });
  const modules = join(copy, "node_modules");
  mkdirSync(join(modules, "@drover"), { recursive: true });
  for (const name of readdirSync(join(ROOT, "node_modules"))) {
    if (name !== "@drover") symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
  for (const name of readdirSync(join(ROOT, "node_modules/@drover"))) {
    symlinkSync(join(copy, "packages", name), join(modules, "@drover", name));
  }
}

function pack(folder: string): void {
  const path = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
  const doors = Object.entries(manifest.exports).map(([door, source]) => [door, published(source)]);
  manifest.exports = Object.fromEntries(doors);
  for (const choices of Object.values(manifest.imports ?? {})) {
    for (const [condition, source] of Object.entries(choices)) choices[condition] = published(source);
  }
  delete manifest.devDependencies;
  manifest.files = ["bin", "dist", "!*.tsbuildinfo"];
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  run("npm", ["pack", "--silent", "--pack-destination", target], folder);
}

/** `./src/index.ts` → `./dist/index.js` */
function published(path: string): string {
  return path.replace(/^\.\/src\/(.*)\.ts$/, "./dist/$1.js");
}

function run(program: string, args: readonly string[], cwd: string): void {
  // Else the page is built for whoever develops it, and tells the paths of its sources.
  const env = { ...process.env, NODE_ENV: "production" };
  const { status, error } = spawnSync(program, args, { cwd, env, stdio: "inherit" });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
