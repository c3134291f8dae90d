import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/*
 * `npm run pack -- FOLDER`: builds every package and writes the tarballs to publish. In the repository the packages'
 * doors are their TypeScript sources, so that nothing has to be built to run; published ones open to `dist/`.
 */

const ROOT = resolve(import.meta.dirname, "..");

interface Manifest {
  name: string;
  exports: Record<string, string>;
  imports?: Record<string, Record<string, string>>;
  files?: string[];
  devDependencies?: unknown;
}

const target = resolve(process.argv[2] ?? join(ROOT, "dist"));
mkdirSync(target, { recursive: true });
run("npm", ["run", "--silent", "build"], ROOT);
const staging = mkdtempSync(join(tmpdir(), "drover-pack-"));
try {
  for (const name of readdirSync(join(ROOT, "packages"))) stage(name);
} finally {
  rmSync(staging, { recursive: true });
}

function stage(name: string): void {
  const source = join(ROOT, "packages", name);
  const folder = join(staging, name);
  const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as Manifest;
  const doors = Object.entries(manifest.exports).map(([door, path]) => [door, published(path)]);
  manifest.exports = Object.fromEntries(doors);
  for (const choices of Object.values(manifest.imports ?? {})) {
    for (const [condition, path] of Object.entries(choices)) choices[condition] = published(path);
  }
  delete manifest.devDependencies;
  mkdirSync(folder);
  for (const part of ["dist", "bin", "README.md", ...(manifest.files ?? [])]) {
    if (existsSync(join(source, part))) cpSync(join(source, part), join(folder, part), { recursive: true });
  }
  cpSync(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  delete manifest.files;
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  // The compiler's map of what Vite has put its own file in the place of.
  writeFileSync(join(folder, ".npmignore"), "*.tsbuildinfo\ndist/browser.js.map\n");
  run("npm", ["pack", "--silent", "--pack-destination", target], folder);
}

/** `./src/index.ts` → `./dist/index.js` */
function published(path: string): string {
  return path.replace(/^\.\/src\/(.*)\.ts$/, "./dist/$1.js");
}

function run(program: string, args: readonly string[], cwd: string): void {
  const { status, error } = spawnSync(program, args, { cwd, stdio: "inherit" });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
