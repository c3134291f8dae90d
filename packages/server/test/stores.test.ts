import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { MemoryStore } from "../src/stores/memory.ts";
import { SqliteStore } from "../src/stores/sqlite.ts";
import { NO_CHANGES } from "../src/stores/store.ts";
import { describeStore, stored } from "./store-conformance.ts";

describeStore("memory", async () => {
  const store = new MemoryStore();
  return { open: async () => store, remove: async () => {} };
});

describeStore("SQLite", async () => {
  const folder = mkdtempSync(join(tmpdir(), "drover-store-"));
  return {
    open: () => SqliteStore.open(join(folder, "jobs.db")),
    remove: async () => rmSync(folder, { recursive: true }),
  };
});

describe("an SQLite file", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  function file(): string {
    const folder = mkdtempSync(join(tmpdir(), "drover-store-"));
    folders.push(folder);
    return join(folder, "jobs.db");
  }

  it("belongs to one server at a time", async () => {
    const path = file();
    const first = await SqliteStore.open(path);
    await expect(SqliteStore.open(path)).rejects.toMatchObject({
      code: "STORE_IN_USE",
      detail: `${path} is the store of another server that runs`,
    });
    await first.close();
    await (await SqliteStore.open(path)).close();
  });

  it("of a newer version is refused and left as it is", async () => {
    const path = file();
    await (await SqliteStore.open(path)).close();
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 99");
    db.close();
    await expect(SqliteStore.open(path)).rejects.toMatchObject({ code: "STORE_TOO_NEW" });
    const after = new DatabaseSync(path);
    expect(after.prepare("PRAGMA user_version").get()).toEqual({ user_version: 99 });
    after.close();
  });

  it("of something else is refused", async () => {
    const path = file();
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE notes (text TEXT)");
    db.close();
    await expect(SqliteStore.open(path)).rejects.toMatchObject({ code: "STORE_DAMAGED" });
  });

  it("that is none is refused", async () => {
    const path = file();
    writeFileSync(path, "this is no database, whatever its name says".repeat(100));
    await expect(SqliteStore.open(path)).rejects.toMatchObject({ code: "STORE_DAMAGED" });
  });

  it("in a folder that does not exist is refused, by name", async () => {
    const path = join(file(), "nowhere", "jobs.db");
    await expect(SqliteStore.open(path)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("whose log was torn has everything up to the last whole commit", async () => {
    const path = file();
    const store = await SqliteStore.open(path);
    for (const id of [1, 2, 3]) await store.commit({ ...NO_CHANGES, puts: [stored(id)] });
    // The files as a crash leaves them, with the log's last bytes missing.
    const torn = file();
    copyFileSync(path, torn);
    copyFileSync(`${path}-wal`, `${torn}-wal`);
    await store.close();
    const { truncateSync, statSync } = await import("node:fs");
    truncateSync(`${torn}-wal`, statSync(`${torn}-wal`).size - 100);
    const after = await SqliteStore.open(torn);
    const ids: number[] = [];
    for await (const chunk of after.load()) ids.push(...chunk.map(({ id }) => id));
    expect(ids).toEqual([1, 2]);
    await after.close();
  });
});
