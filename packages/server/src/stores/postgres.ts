import { randomUUID } from "node:crypto";
import type pg from "pg";
import type { Commit, Fired, StoredJob } from "../core/index.ts";
import { bytesOf, connect, jobOf, type Row, shownUrl } from "./postgres-rows.ts";
import { migratePostgres } from "./postgres-schema.ts";
import { type Store, StoreError } from "./store.ts";

/** Rows that are read at a time. */
const CHUNK_ROWS = 5000;
/** A server that has not said that it lives for so long has lost its rows, unless the address says `?lease=SECONDS`. */
const LEASE_SECONDS = 15;
/** Owner of the jobs of a server that has ended as it should. */
const NOBODY = "00000000-0000-0000-0000-000000000000";

/**
 * A store in a PostgreSQL database, which several servers may use: each has the rows of its name, for as long as it renews
 * its lease, which every commit does, too. A connection that was lost is made anew with the next call.
 */
export class PostgresStore implements Store {
  readonly name: string;
  readonly #url: string;
  readonly #server: string;
  /** Tells this start of the server from others of its name. */
  readonly #owner = randomUUID();
  #client: pg.Client | undefined;
  /** Calls one after another: the connection is one, and so are transactions. */
  #last: Promise<unknown> = Promise.resolve();
  #renewTimer: NodeJS.Timeout | undefined;

  readonly #leaseSeconds: number;

  private constructor(url: string, server: string) {
    const address = new URL(url);
    this.#leaseSeconds = Number(address.searchParams.get("lease") ?? LEASE_SECONDS);
    address.searchParams.delete("lease");
    this.#url = address.href;
    this.#server = server;
    this.name = shownUrl(url);
  }

  /**
   * Opens a database, making its tables if there are none.
   * @param url `postgres://USER:PASSWORD@HOST:PORT/DATABASE?lease=SECONDS`
   * @param server Whose rows are meant: one name for one server, the same after a restart.
   * @throws StoreError
   */
  static async open(url: string, server: string): Promise<PostgresStore> {
    const store = new PostgresStore(url, server);
    try {
      await store.#call(async (client) => {
        await migratePostgres(client, store.name);
        await store.#takeLease(client);
      });
    } catch (error) {
      await store.#disconnect();
      throw error;
    }
    store.#renewTimer = setInterval(
      () => {
        // One that fails is noticed by the next commit.
        store.#call((client) => store.#renew(client)).catch(() => {});
      },
      (store.#leaseSeconds * 1000) / 3,
    );
    store.#renewTimer.unref();
    return store;
  }

  async *load(): AsyncGenerator<readonly StoredJob[], void, undefined> {
    for (let after = -1; ; ) {
      const from = after;
      const rows = await this.#call(async (client) => {
        const sql = "SELECT * FROM drover_jobs WHERE server = $1 AND id > $2 ORDER BY id LIMIT $3";
        return (await client.query<Row>(sql, [this.#server, from, CHUNK_ROWS])).rows;
      });
      if (rows.length === 0) return;
      yield rows.map(jobOf);
      after = Number(rows.at(-1)!.id);
    }
  }

  fired(): Promise<readonly Fired[]> {
    return this.#call(async (client) => {
      const sql = "SELECT name, fired_ms FROM drover_schedules WHERE server = $1";
      const { rows } = await client.query<{ name: string; fired_ms: string }>(sql, [this.#server]);
      return rows.map(({ name, fired_ms }) => ({ schedule: name, atMs: Number(fired_ms) }));
    });
  }

  count(): Promise<number> {
    return this.#call(async (client) => {
      const sql = "SELECT count(*) AS n FROM drover_jobs WHERE server = $1";
      return Number((await client.query<{ n: string }>(sql, [this.#server])).rows[0]!.n);
    });
  }

  reserve(wanted: number, count: number): Promise<number> {
    return this.#call(async (client) => {
      const sql = `UPDATE drover_servers SET next_id = greatest(next_id, $3) + $4
        WHERE server = $1 AND owner = $2 RETURNING next_id`;
      const { rows } = await client.query<{ next_id: string }>(sql, [
        this.#server,
        this.#owner,
        wanted,
        count,
      ]);
      if (rows[0] === undefined) throw this.#leaseLost();
      return Number(rows[0].next_id) - count;
    });
  }

  commit(commit: Commit): Promise<void> {
    return this.#call(async (client) => {
      await client.query("BEGIN");
      try {
        // First, since it also locks: nobody can take the rows over before this is done.
        await this.#renew(client);
        await this.#put(client, commit.puts);
        await this.#change(client, commit.changes);
        if (commit.deletes.length > 0) {
          const sql = "DELETE FROM drover_jobs WHERE server = $1 AND id = ANY($2::bigint[])";
          await client.query(sql, [this.#server, commit.deletes]);
        }
        await this.#fire(client, commit.fired);
        await client.query("COMMIT");
      } catch (error) {
        await client.query("ROLLBACK").catch(() => {});
        throw error;
      }
    });
  }

  orphans(): Promise<number> {
    return this.#call(async (client) => {
      await this.#renew(client);
      const sql = `SELECT count(*) AS n FROM drover_jobs JOIN drover_servers USING (server)
        WHERE lease_until < now() AND server <> $1`;
      return Number((await client.query<{ n: string }>(sql, [this.#server])).rows[0]!.n);
    });
  }

  takeOver(firstId: number, limit: number): Promise<readonly StoredJob[]> {
    return this.#call(async (client) => {
      await client.query("BEGIN");
      try {
        await this.#renew(client);
        const before = await this.#rowsFrom(client, firstId, limit);
        if (before.length === 0) await this.#move(client, firstId, limit);
        const rows = before.length > 0 ? before : await this.#rowsFrom(client, firstId, limit);
        await client.query("COMMIT");
        return rows.map(jobOf);
      } catch (error) {
        await client.query("ROLLBACK").catch(() => {});
        throw error;
      }
    });
  }

  async #rowsFrom(client: pg.Client, firstId: number, limit: number): Promise<readonly Row[]> {
    const sql =
      "SELECT * FROM drover_jobs WHERE server = $1 AND id >= $2 AND id < $2::bigint + $3 ORDER BY id";
    return (await client.query<Row>(sql, [this.#server, firstId, limit])).rows;
  }

  /** Others that look at the same time pass over the server that is locked here. */
  async #move(client: pg.Client, firstId: number, limit: number): Promise<void> {
    const dead = await client.query<{ server: string }>(
      `SELECT server FROM drover_servers AS dead WHERE lease_until < now() AND server <> $1
         AND EXISTS (SELECT 1 FROM drover_jobs WHERE drover_jobs.server = dead.server)
       ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED`,
      [this.#server],
    );
    const from = dead.rows[0]?.server;
    if (from === undefined) return;
    const sql = `UPDATE drover_jobs AS job SET server = $1, id = $2::bigint + old.place - 1
      FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM drover_jobs WHERE server = $3
            ORDER BY id LIMIT $4) AS old
      WHERE job.server = $3 AND job.id = old.id`;
    await client.query(sql, [this.#server, firstId, from, limit]);
  }

  async close(): Promise<void> {
    clearInterval(this.#renewTimer);
    // The lease goes on for a while, so that a restart finds its jobs, which others take over only then.
    await this.#call(async (client) => {
      await this.#renew(client);
      const sql = "UPDATE drover_servers SET owner = $3 WHERE server = $1 AND owner = $2";
      await client.query(sql, [this.#server, this.#owner, NOBODY]);
    }).catch(() => {});
    await this.#disconnect();
  }

  async #takeLease(client: pg.Client): Promise<void> {
    const sql = `INSERT INTO drover_servers AS held (server, next_id, owner, lease_until)
      VALUES ($1, 0, $2, now() + make_interval(secs => $3))
      ON CONFLICT (server) DO UPDATE SET owner = $2, lease_until = now() + make_interval(secs => $3)
      WHERE held.lease_until <= now() OR held.owner = $4`;
    const { rowCount } = await client.query(sql, [this.#server, this.#owner, this.#leaseSeconds, NOBODY]);
    if (rowCount === 1) return;
    throw new StoreError(
      "STORE_IN_USE",
      `${this.name}: a server named ${this.#server} has its jobs there; ` +
        `give this one a name of its own, or wait ${this.#leaseSeconds} s if that one has died`,
    );
  }

  async #renew(client: pg.Client): Promise<void> {
    const sql = `UPDATE drover_servers SET lease_until = now() + make_interval(secs => $3)
      WHERE server = $1 AND owner = $2`;
    const { rowCount } = await client.query(sql, [this.#server, this.#owner, this.#leaseSeconds]);
    if (rowCount !== 1) throw this.#leaseLost();
  }

  #leaseLost(): StoreError {
    return new StoreError(
      "STORE_IN_USE",
      `${this.name}: another server has taken over the jobs of ${this.#server}`,
    );
  }

  async #put(client: pg.Client, jobs: readonly StoredJob[]): Promise<void> {
    if (jobs.length === 0) return;
    const sql = `INSERT INTO drover_jobs SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[],
        $6::smallint[], $7::bigint[], $8::bytea[], $9::text[], $10::bigint[], $11::integer[], $12::bigint[], $13::text[],
        $14::bigint[])
      ON CONFLICT (server, id) DO UPDATE SET fn = excluded.fn, key = excluded.key, workload = excluded.workload,
        priority = excluded.priority, due_ms = excluded.due_ms, reducer = excluded.reducer,
        traceparent = excluded.traceparent, linger_ms = excluded.linger_ms, attempts = excluded.attempts,
        submitted_ms = excluded.submitted_ms, reason = excluded.reason, died_ms = excluded.died_ms`;
    await client.query(sql, [
      this.#server,
      jobs.map(({ id }) => id),
      jobs.map(({ fn }) => bytesOf(fn)),
      jobs.map(({ key }) => bytesOf(key)),
      jobs.map(({ workload }) => Buffer.from(workload)),
      jobs.map(({ priority }) => priority),
      jobs.map(({ dueMs }) => dueMs),
      jobs.map(({ reducer }) => bytesOf(reducer)),
      jobs.map(({ traceparent }) => traceparent),
      jobs.map(({ lingerMs }) => lingerMs),
      jobs.map(({ attempts }) => attempts),
      jobs.map(({ submittedMs }) => submittedMs),
      jobs.map(({ reason }) => reason),
      jobs.map(({ diedMs }) => diedMs),
    ]);
  }

  async #change(client: pg.Client, changes: Commit["changes"]): Promise<void> {
    if (changes.length === 0) return;
    const sql = `UPDATE drover_jobs AS job SET priority = change.priority, due_ms = change.due_ms,
        attempts = change.attempts, reason = change.reason, died_ms = change.died_ms
      FROM unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::integer[], $6::text[], $7::bigint[])
        AS change (id, priority, due_ms, attempts, reason, died_ms)
      WHERE job.server = $1 AND job.id = change.id`;
    await client.query(sql, [
      this.#server,
      changes.map(({ id }) => id),
      changes.map(({ priority }) => priority),
      changes.map(({ dueMs }) => dueMs),
      changes.map(({ attempts }) => attempts),
      changes.map(({ reason }) => reason),
      changes.map(({ diedMs }) => diedMs),
    ]);
  }

  async #fire(client: pg.Client, fired: readonly Fired[]): Promise<void> {
    if (fired.length === 0) return;
    const sql = `INSERT INTO drover_schedules SELECT $1, * FROM unnest($2::text[], $3::bigint[])
      ON CONFLICT (server, name) DO UPDATE SET fired_ms = excluded.fired_ms`;
    await client.query(sql, [
      this.#server,
      fired.map(({ schedule }) => schedule),
      fired.map(({ atMs }) => atMs),
    ]);
  }

  /** Runs one call after those before it, on a connection that works. @throws StoreError */
  #call<T>(action: (client: pg.Client) => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      try {
        this.#client ??= await connect(this.#url, (lost) => {
          if (this.#client === lost) this.#client = undefined;
        });
        return await action(this.#client);
      } catch (error) {
        if (error instanceof StoreError) throw error;
        // Whatever state the connection is in: the next call has a new one.
        await this.#disconnect();
        throw new StoreError("STORE_UNAVAILABLE", `${this.name}: ${(error as Error).message}`);
      }
    });
    this.#last = result.catch(() => {});
    return result;
  }

  async #disconnect(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => {});
  }
}
