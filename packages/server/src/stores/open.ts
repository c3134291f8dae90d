import { hostname } from "node:os";
import { PostgresStore } from "./postgres.ts";
import { SqliteStore } from "./sqlite.ts";
import type { Store } from "./store.ts";

const SQLITE = "sqlite:";

/** The file of `sqlite:FILE`, or undefined for another kind of store. */
export function sqliteFile(name: string): string | undefined {
  return name.startsWith(SQLITE) ? name.slice(SQLITE.length) : undefined;
}

/**
 * Opens a store to be had alone.
 * @param name `sqlite:FILE` or `postgres://…`
 * @param server Whose jobs are meant, in a database of several servers. Default: this host's name.
 * @throws StoreError
 */
export function openStore(name: string, server = hostname()): Promise<Store> {
  const file = sqliteFile(name);
  return file === undefined ? PostgresStore.open(name, server) : SqliteStore.open(file);
}
