import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const PROGRAM = resolve(import.meta.dirname, "../bin/shyaml.js");

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `shyaml` as its users do. */
export function shyaml(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run(process.execPath, [PROGRAM, ...args], options);
}

export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { cwd, input = "", env } = options;
  const { promise, resolve: done, reject } = Promise.withResolvers<Ran>();
  const child = spawn(program, args, { cwd: cwd ?? tmpdir(), env: { ...process.env, ...env } });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    err += text;
  });
  child.on("error", reject);
  child.on("close", (code) => done({ code, out, err }));
  // A program that does not read may be gone before all was written.
  child.stdin.on("error", () => {}).end(input);
  return promise;
}

/** A folder of its own with files in it, which goes with the scope. */
export function folderOf(
  files: Readonly<Record<string, string | Uint8Array>>,
): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "shyaml-test-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}
