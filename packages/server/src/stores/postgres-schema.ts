import type pg from "pg";
import { StoreError } from "./store.ts";

/** What leads from each version of the schema to the next one, beginning without tables. */
const STEPS: readonly string[] = [
  `CREATE TABLE drover_servers (
     server text PRIMARY KEY,
     next_id bigint NOT NULL,
     owner uuid NOT NULL,
     lease_until timestamptz NOT NULL
   );
   CREATE TABLE drover_jobs (
     server text NOT NULL,
     id bigint NOT NULL,
     fn bytea NOT NULL,
     key bytea NOT NULL,
     workload bytea NOT NULL,
     priority smallint NOT NULL,
     due_ms bigint NOT NULL,
     reducer bytea NOT NULL,
     traceparent text NOT NULL,
     linger_ms bigint NOT NULL,
     attempts integer NOT NULL,
     submitted_ms bigint NOT NULL,
     reason text NOT NULL,
     died_ms bigint NOT NULL,
     PRIMARY KEY (server, id)
   );
   CREATE TABLE drover_schedules (
     server text NOT NULL,
     name text NOT NULL,
     fired_ms bigint NOT NULL,
     PRIMARY KEY (server, name)
   )`,
];

/** Of the lock under which the schema is changed: servers that start together do it one after another. */
const LOCK = 0x64726f76;

/**
 * Brings a database to this program's version of the schema.
 * @throws StoreError when it is of a later version.
 */
export async function migratePostgres(client: pg.Client, name: string): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query("SELECT pg_advisory_xact_lock($1)", [LOCK]);
    await client.query("CREATE TABLE IF NOT EXISTS drover_schema (version integer NOT NULL)");
    const { rows } = await client.query<{ version: number }>("SELECT version FROM drover_schema");
    const version = rows[0]?.version ?? 0;
    if (version > STEPS.length) {
      throw new StoreError(
        "STORE_TOO_NEW",
        `${name} has version ${version} of the schema, this Drover knows ${STEPS.length}: use the newer Drover that made it`,
      );
    }
    for (const step of STEPS.slice(version)) await client.query(step);
    if (rows.length === 0) await client.query("INSERT INTO drover_schema VALUES ($1)", [STEPS.length]);
    else await client.query("UPDATE drover_schema SET version = $1", [STEPS.length]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}
