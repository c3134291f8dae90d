import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "./store.ts";

/** "drov": tells a store of ours from any other SQLite file. */
const APPLICATION_ID = 0x64726f76;

/** What leads from each version of the schema to the next one, beginning with an empty file. */
const STEPS: readonly string[] = [
  `CREATE TABLE server (next_id INTEGER NOT NULL) STRICT;
   INSERT INTO server (next_id) VALUES (0);
   CREATE TABLE jobs (
     id INTEGER PRIMARY KEY,
     fn BLOB NOT NULL,
     key BLOB NOT NULL,
     workload BLOB NOT NULL,
     priority INTEGER NOT NULL,
     due_ms INTEGER NOT NULL,
     reducer BLOB NOT NULL,
     traceparent TEXT NOT NULL,
     linger_ms INTEGER NOT NULL,
     attempts INTEGER NOT NULL,
     submitted_ms INTEGER NOT NULL,
     reason TEXT NOT NULL,
     died_ms INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE schedules (name TEXT PRIMARY KEY, fired_ms INTEGER NOT NULL) STRICT;
   PRAGMA application_id = ${APPLICATION_ID}`,
];

/** The version this program writes. */
export const SCHEMA_VERSION = STEPS.length;

/**
 * Brings a file to this program's version of the schema.
 * @throws StoreError when it is no store, or of a later version.
 */
export function migrate(db: DatabaseSync, path: string): void {
  const version = pragma(db, "user_version");
  const isEmpty =
    version === 0 && (db.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number }).n === 0;
  if (!isEmpty && pragma(db, "application_id") !== APPLICATION_ID) {
    const remedy = isGearmands(db)
      ? ", but gearmand's queue: see drover import gearmand-sqlite"
      : ", but no store of Drover's";
    throw new StoreError("STORE_DAMAGED", `${path} is an SQLite file${remedy}`);
  }
  if (version > SCHEMA_VERSION) throw tooNew(path, version);
  for (let next = version; next < SCHEMA_VERSION; next++) {
    db.exec(`BEGIN IMMEDIATE; ${STEPS[next]!}; PRAGMA user_version = ${next + 1}; COMMIT`);
  }
}

/**
 * That a file which is only to be read has this program's version of the schema.
 * @throws StoreError
 */
export function checkVersion(db: DatabaseSync, path: string): void {
  const version = pragma(db, "user_version");
  if (pragma(db, "application_id") !== APPLICATION_ID) {
    throw new StoreError("STORE_DAMAGED", `${path} is no store of Drover's`);
  }
  if (version > SCHEMA_VERSION) throw tooNew(path, version);
}

/** Whether there is a table as gearmand's `libsqlite3` queue makes it, under any name. */
function isGearmands(db: DatabaseSync): boolean {
  const sql =
    "SELECT count(*) AS n FROM sqlite_schema WHERE sql LIKE '%unique_key%function_name%when_to_run%'";
  return (db.prepare(sql).get() as { n: number }).n > 0;
}

function tooNew(path: string, version: number): StoreError {
  return new StoreError(
    "STORE_TOO_NEW",
    `${path} has version ${version} of the schema, this Drover knows ${SCHEMA_VERSION}: use the newer Drover that made it`,
  );
}

function pragma(db: DatabaseSync, name: string): number {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() as Record<string, number>)[0]!;
}
