import { chownSync, existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Store, sqliteFile } from "@drover/server";
import { UsageError } from "../errors.ts";
import { idsOf } from "./user.ts";

/** What SQLite makes of a name: the database, its log and that one's index; and our lock. */
const SUFFIXES = ["", "-wal", "-shm", "-lock"];

/**
 * The store of `drover up` on a port, in the folder for what programs of this user keep, which it makes. A server on any
 * free port is a passing one, whose jobs nobody would find again.
 * @throws UsageError `FILE_NOT_WRITABLE`
 */
export function defaultStore(port: number): string {
  if (port === 0) return "memory";
  const folder = join(process.env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "drover");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(
      "FILE_NOT_WRITABLE",
      `cannot make the folder ${folder} for background jobs (${code ?? message}): name another place by --store ` +
        "sqlite:FILE, or say --store memory",
    );
  }
  return `sqlite:${join(folder, `up-${port}.db`)}`;
}

/** Files that were opened before the change of user are to be written after it. */
export function giveStoreAway(store: Store, user: string): void {
  const file = sqliteFile(store.name);
  if (file === undefined) return;
  const { uid, gid } = idsOf(user);
  for (const suffix of SUFFIXES) if (existsSync(file + suffix)) chownSync(file + suffix, uid, gid);
}
