import type pg from "pg";
import { connect, jobOf, type Row, shownUrl } from "./postgres-rows.ts";
import { CHUNK_ROWS, type FiredRow, firedOf, type Snapshot } from "./snapshot.ts";
import { StoreError } from "./store.ts";

/**
 * Looks into a database at one moment, by a transaction that sees nothing of what comes later.
 * @throws StoreError
 */
export async function openPostgresSnapshot(url: string, server: string): Promise<Snapshot> {
  const name = shownUrl(url);
  const told = (error: unknown): StoreError =>
    error instanceof StoreError
      ? error
      : new StoreError("STORE_UNAVAILABLE", `${name}: ${(error as Error).message}`);
  let client: pg.Client | undefined;
  try {
    client = await connect(url);
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const heads = await client.query<{ next_id: string; n: string }>(
      `SELECT next_id, (SELECT count(*) FROM drover_jobs WHERE server = $1) AS n FROM drover_servers WHERE server = $1`,
      [server],
    );
    const head = heads.rows[0];
    if (head === undefined) {
      throw new StoreError(
        "STORE_UNAVAILABLE",
        `${name} has no server named ${server}: name it by --server-name`,
      );
    }
    const schedules = await client.query<FiredRow>(
      "SELECT name, fired_ms FROM drover_schedules WHERE server = $1",
      [server],
    );
    const connected = client;
    return {
      count: Number(head.n),
      nextId: Number(head.next_id),
      fired: schedules.rows.map(firedOf),
      async *jobs() {
        const sql = "SELECT * FROM drover_jobs WHERE server = $1 AND id > $2 ORDER BY id LIMIT $3";
        for (let after = -1; ; ) {
          let rows: Row[];
          try {
            rows = (await connected.query<Row>(sql, [server, after, CHUNK_ROWS])).rows;
          } catch (error) {
            throw told(error);
          }
          if (rows.length === 0) return;
          yield rows.map(jobOf);
          after = Number(rows.at(-1)!.id);
        }
      },
      close: () => connected.end(),
    };
  } catch (error) {
    await client?.end().catch(() => {});
    throw told(error);
  }
}
