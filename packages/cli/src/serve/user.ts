import { readFileSync } from "node:fs";
import { UsageError } from "../errors.ts";

/**
 * Becomes another user, with that user's groups.
 * @throws UsageError `USER_UNKNOWN`, or when this process may not.
 */
export function becomeUser(name: string): void {
  try {
    const { uid, gid } = idsOf(name);
    if (process.getuid?.() === uid) return;
    // Part of Node, yet of no type package.
    (process as { initgroups?: (user: number, group: number) => void }).initgroups?.(uid, gid);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof UnknownUser) {
      throw new UsageError("USER_UNKNOWN", `--user ${JSON.stringify(name)}: there is no such user`);
    }
    throw new UsageError(
      "USER_UNKNOWN",
      `--user ${JSON.stringify(name)}: may not become that user (${code ?? message}); only root may`,
    );
  }
}

class UnknownUser extends Error {}

/** Ids of a user, named by name or number, and of that user's group. */
export function idsOf(name: string): { uid: number; gid: number } {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const fields = line.split(":");
    if (fields[0] === name || fields[2] === name) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new UnknownUser(name);
}

/** Whether there is such a user; what `--check-args` can tell. */
export function isKnownUser(name: string): boolean {
  try {
    idsOf(name);
    return true;
  } catch {
    return false;
  }
}
