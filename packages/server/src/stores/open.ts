import { hostname } from "node:os";
import type { Store } from "./store.ts";

const SQLITE = "sqlite:";

/** The file of `sqlite:FILE`, or undefined for another kind of store. */
export function sqliteFile(name: string): string | undefined {
  return name.startsWith(SQLITE) ? name.slice(SQLITE.length) : undefined;
}

/**
 * Opens a store to be had alone. Only then is what it needs loaded: most servers have none, and all start the faster.
 * @param name `sqlite:FILE` or `postgres://…`
 * @param server Whose jobs are meant, in a database of several servers. Default: this host's name.
 * @throws StoreError
 */
export async function openStore(name: string, server = hostname()): Promise<Store> {
  const file = sqliteFile(name);
  if (file !== undefined) return (await import("./sqlite.ts")).SqliteStore.open(file);
  return (await import("./postgres.ts")).PostgresStore.open(name, server);
}
