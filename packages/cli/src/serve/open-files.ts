import { readFileSync } from "node:fs";

/** Descriptors for everything but connections: listeners, log, the runtime's own. */
export const RESERVED_FILES = 64;

/** How many files this process may have open; undefined where the system does not tell. */
export function openFileLimit(): number | undefined {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

/** Connections that fit into so many files. */
export function connectionsWithin(files: number): number {
  return Math.max(1, files - Math.min(RESERVED_FILES, Math.floor(files / 2)));
}
