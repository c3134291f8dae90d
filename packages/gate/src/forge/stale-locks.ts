import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";

/** A lock of git's that is older was left by a process that was killed: git holds it for as long as a rename takes. */
const STALE_LOCK_MS = 2_000;

/** Waits until locks of these refs are so old that nobody holds them any more, and removes them. */
export async function removeStaleLocks(gitDir: string, refs: readonly string[]): Promise<void> {
  const paths = [...refs, "HEAD", "packed-refs"].map((name) => join(gitDir, `${name}.lock`));
  if (paths.every((path) => ageOf(path) === undefined)) return;
  await after(STALE_LOCK_MS);
  for (const path of paths) {
    const age = ageOf(path);
    if (age !== undefined && age >= STALE_LOCK_MS) rmSync(path, { force: true });
  }
}

function ageOf(path: string): number | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : Date.now() - stat.mtimeMs;
}
