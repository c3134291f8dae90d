import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { type Postgres, startPostgres } from "../../../test/peers/postgres.ts";
import type { StoredJob } from "../src/core/index.ts";
import { PostgresStore } from "../src/stores/postgres.ts";
import { NO_CHANGES } from "../src/stores/store.ts";
import { describeStore, stored } from "./store-conformance.ts";

/* The store in a real PostgreSQL, which the tests start. */

describeWith(["postgresql"], "PostgreSQL", () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.remove());

  let names = 0;
  const open = (server: string) => PostgresStore.open(postgres.url, server);

  async function rowsOf(store: PostgresStore): Promise<StoredJob[]> {
    const rows: StoredJob[] = [];
    for await (const chunk of store.load()) rows.push(...chunk);
    return rows;
  }

  async function ask(sql: string, url = postgres.url): Promise<unknown[]> {
    const client = new pg.Client(url);
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  describeStore("PostgreSQL", async () => {
    const server = `conforming ${++names}`;
    return { open: () => open(server), remove: async () => {} };
  });

  describe("a database", () => {
    it("gives each server its own jobs", async () => {
      const [one, two] = [await open("one"), await open("two")];
      await one.commit({ ...NO_CHANGES, puts: [stored(1)] });
      await two.commit({ ...NO_CHANGES, puts: [stored(1, { fn: "g" })] });
      await one.commit({ ...NO_CHANGES, deletes: [1] });
      expect([await one.count(), await two.count()]).toEqual([0, 1]);
      await Promise.all([one.close(), two.close()]);
    });

    it("has one server of a name at a time", async () => {
      const first = await open("same");
      await expect(open("same")).rejects.toMatchObject({ code: "STORE_IN_USE" });
      await first.close();
      await (await open("same")).close();
    });

    it("takes nothing from a server whose lease another one has", async () => {
      const first = await open("lost");
      await ask("UPDATE drover_servers SET lease_until = now() - interval '1 s' WHERE server = 'lost'");
      const second = await open("lost");
      await expect(first.commit({ ...NO_CHANGES, puts: [stored(1)] })).rejects.toMatchObject({
        code: "STORE_IN_USE",
      });
      await first.close();
      // Closing does not end what is the other's.
      await second.commit({ ...NO_CHANGES, puts: [stored(2)] });
      expect(await second.count()).toBe(1);
      await second.close();
    });

    it("gives the jobs of a server that died to one other, under new ids, all of them", async () => {
      // A database of its own: servers of other tests die, too.
      await ask("CREATE DATABASE heirs");
      const url = postgres.url.replace(/postgres$/, "heirs");
      const open = (server: string) => PostgresStore.open(url, server);
      const dead = await open("dead");
      const jobs = Array.from({ length: 7 }, (_, i) => stored(i + 1, { key: `orphan ${i + 1}` }));
      await dead.commit({ ...NO_CHANGES, puts: jobs });
      const [one, two] = [await open("heir one"), await open("heir two")];
      expect(await one.orphans()).toBe(0);
      expect(await one.takeOver(1000, 100)).toEqual([]);
      await dead.close();
      expect(await one.orphans()).toBe(0);
      await ask("UPDATE drover_servers SET lease_until = now() - interval '1 s' WHERE server = 'dead'", url);
      expect([await one.orphans(), await two.orphans()]).toEqual([7, 7]);
      const taken = await Promise.all([one.takeOver(1000, 5), two.takeOver(2000, 5)]);
      while (taken.flat().length < 7) taken.push(await one.takeOver(3000, 5));
      expect(
        taken
          .flat()
          .map(({ key }) => key)
          .sort(),
      ).toEqual(jobs.map(({ key }) => key).sort());
      for (const [heir, rows] of [
        [one, taken[0]!],
        [two, taken[1]!],
      ] as const) {
        const ids = (await rowsOf(heir)).map(({ id }) => id);
        expect(ids).toEqual(expect.arrayContaining(rows.map(({ id }) => id)));
      }
      expect(await one.orphans()).toBe(0);
      // The answer may have been lost: asking again with the same ids gives the same.
      const first = taken[0]!.length > 0 ? taken[0]! : [];
      if (first.length > 0)
        expect((await one.takeOver(1000, 5)).map(({ key }) => key)).toEqual(first.map(({ key }) => key));
      await Promise.all([one.close(), two.close()]);
    });

    it("that went away and came back is used again, with all that it acknowledged", async () => {
      const store = await open("patient");
      await store.commit({ ...NO_CHANGES, puts: [stored(1)] });
      await postgres.stop();
      await expect(store.commit({ ...NO_CHANGES, puts: [stored(2)] })).rejects.toMatchObject({
        code: "STORE_UNAVAILABLE",
      });
      await postgres.start();
      await store.commit({ ...NO_CHANGES, puts: [stored(3)] });
      const ids: number[] = [];
      for await (const rows of store.load()) ids.push(...rows.map(({ id }) => id));
      expect(ids).toEqual([1, 3]);
      await store.close();
    });

    it("of a newer version is refused", async () => {
      await ask("UPDATE drover_schema SET version = 99");
      await expect(open("old")).rejects.toMatchObject({ code: "STORE_TOO_NEW" });
      await ask("UPDATE drover_schema SET version = 1");
    });

    it("that is not there is named without its password", async () => {
      const { port } = new URL(postgres.url);
      const url = `postgres://drover:secret@127.0.0.1:${port}/nothing`;
      const refusal: Error = await PostgresStore.open(url, "s").then(
        () => expect.fail("it opened"),
        (error) => error,
      );
      expect(refusal).toMatchObject({ code: "STORE_UNAVAILABLE" });
      expect(refusal.message).toContain(`postgres://drover@127.0.0.1:${port}/nothing`);
      expect(refusal.message).not.toContain("secret");
    });
  });
});
