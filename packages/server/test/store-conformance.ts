import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StoredJob } from "../src/core/index.ts";
import { NO_CHANGES, type Store } from "../src/stores/store.ts";

/** A store's place: what is stored there stays when its store is closed. */
export interface StorePlace {
  open(): Promise<Store>;
  remove(): Promise<void>;
}

export function stored(id: number, fields: Partial<StoredJob> = {}): StoredJob {
  return {
    id,
    fn: "f",
    key: `u${id}`,
    workload: Uint8Array.of(1, 2, 3),
    priority: 1,
    dueMs: 0,
    reducer: "",
    traceparent: "",
    lingerMs: -1,
    attempts: 0,
    submittedMs: 1_700_000_000_123,
    reason: "",
    diedMs: 0,
    ...fields,
  };
}

async function rowsOf(store: Store): Promise<StoredJob[]> {
  const rows: StoredJob[] = [];
  for await (const chunk of store.load()) rows.push(...chunk);
  return rows.map((row) => ({ ...row, workload: new Uint8Array(row.workload) }));
}

/** What every store must do. */
export function describeStore(name: string, place: () => Promise<StorePlace>): void {
  describe(`${name}: a store`, () => {
    let where: StorePlace;
    let store: Store;
    beforeEach(async () => {
      where = await place();
      store = await where.open();
    });
    afterEach(async () => {
      await store?.close();
      await where.remove();
    });

    async function reopen(): Promise<void> {
      await store.close();
      store = await where.open();
    }

    it("is empty at first", async () => {
      expect(await rowsOf(store)).toEqual([]);
      expect(await store.count()).toBe(0);
    });

    it("keeps all of a job, whatever its bytes", async () => {
      const every = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
      const job = stored(1_700_000_000_000_123, {
        fn: every,
        key: `\0${every}`,
        workload: Uint8Array.from({ length: 70_000 }, (_, i) => i & 0xff),
        priority: 2,
        dueMs: 1_800_000_000_456,
        reducer: every,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        lingerMs: 0,
        attempts: 7,
        reason: "worker lost",
        diedMs: 1_700_000_000_999,
      });
      await store.commit({
        ...NO_CHANGES,
        puts: [job, stored(1_700_000_000_000_124, { workload: new Uint8Array(0) })],
      });
      await reopen();
      expect(await rowsOf(store)).toEqual([
        job,
        stored(1_700_000_000_000_124, { workload: new Uint8Array(0) }),
      ]);
    });

    it("gives jobs in the order of their ids, all of them", async () => {
      const ids = Array.from({ length: 12_345 }, (_, i) => i + 1);
      for (let i = 0; i < ids.length; i += 1000) {
        await store.commit({
          ...NO_CHANGES,
          puts: ids
            .slice(i, i + 1000)
            .reverse()
            .map((id) => stored(id)),
        });
      }
      expect((await rowsOf(store)).map(({ id }) => id)).toEqual(ids);
      expect(await store.count()).toBe(ids.length);
    });

    it("changes, replaces and deletes", async () => {
      await store.commit({ ...NO_CHANGES, puts: [1, 2, 3, 4].map((id) => stored(id)) });
      const change = { id: 2, priority: 0, dueMs: 5, attempts: 3, reason: "timed out", diedMs: 6 } as const;
      await store.commit({
        puts: [stored(3, { fn: "other" }), stored(5)],
        changes: [change, { ...change, id: 99 }],
        deletes: [1, 77],
        fired: [],
      });
      await reopen();
      expect(await rowsOf(store)).toEqual([
        stored(2, change),
        stored(3, { fn: "other" }),
        stored(4),
        stored(5),
      ]);
    });

    it("keeps jobs that are nothing but a function", async () => {
      const bare = stored(1, { key: "", workload: new Uint8Array(0) });
      await store.commit({ ...NO_CHANGES, puts: [bare] });
      await reopen();
      expect(await rowsOf(store)).toEqual([bare]);
    });

    it("takes a commit of nothing", async () => {
      await store.commit(NO_CHANGES);
      expect(await store.count()).toBe(0);
    });

    it("keeps the last time of each schedule", async () => {
      const fired = (schedule: string, atMs: number) => ({ ...NO_CHANGES, fired: [{ schedule, atMs }] });
      await store.commit(fired("nightly", 1_800_000_000_000));
      await store.commit(fired("hourly", 1));
      await store.commit(fired("nightly", 1_800_000_000_001));
      await reopen();
      const times = new Map((await store.fired()).map(({ schedule, atMs }) => [schedule, atMs]));
      expect([...times].sort()).toEqual([
        ["hourly", 1],
        ["nightly", 1_800_000_000_001],
      ]);
    });

    it("reserves handles once, whatever the clock says", async () => {
      expect(await store.reserve(1000, 100)).toBe(1000);
      expect(await store.reserve(500, 10)).toBe(1100);
      await reopen();
      expect(await store.reserve(1, 1)).toBe(1110);
      expect(await store.reserve(5000, 1)).toBe(5000);
    });
  });
}
