import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { install, installObstacle } from "../test/peers/install.ts";
import { findProgram } from "../test/peers/packages.ts";

export const ROOT = resolve(import.meta.dirname, "..");

/** Servers have the first core and the load generator the second one, when they are pinned. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

export const canPin = (): boolean => cpus().length > LOAD_CORE;

/** Makes sure that a program is there, from Debian's packages where that is possible. @returns its path. */
export async function need(program: string, names: readonly string[], find = findProgram): Promise<string> {
  const present = find(program);
  if (present !== undefined) return present;
  const obstacle = installObstacle();
  if (obstacle !== undefined)
    throw new Error(`${program} is missing, and ${obstacle}: install ${names.join(" ")}`);
  const failures = await install(names);
  const path = find(program);
  if (path === undefined) throw new Error(`${program} is missing: ${[...failures.values()].join("; ")}`);
  return path;
}

/** What a program prints. @throws When it fails. */
export function printed(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: ROOT, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed: ${stderr.trim()}`);
  return stdout;
}

/** File descriptors that a process may have when it asks for as many as it can. */
export function maxOpenFiles(): number {
  const hard = printed("sh", "-c", "ulimit -Hn").trim();
  return hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
}

/** Bun as it is on this machine, else as npm brings it: into npm's cache, not into the repository. */
export function findBun(): string {
  return findProgram("bun") ?? printed("npx", "--yes", "--package=bun", "-c", "command -v bun").trim();
}

export async function buildGearbench(): Promise<string> {
  await need("gcc", ["gcc", "libc6-dev", "make"]);
  const make = await need("make", ["make"]);
  printed(make, "--silent", "-C", join(ROOT, "bench/gearbench"));
  return join(ROOT, "bench/gearbench/build/gearbench");
}
