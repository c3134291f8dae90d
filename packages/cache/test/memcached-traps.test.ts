import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { startMemcached, type TestStore } from "../../../test/peers/stores.ts";
import { until } from "../../../test/peers/until.ts";
import { MemcachedClient, memcachedBackend } from "../src/index.ts";

/* What the meta protocol's tokens do that one would not think, each with what our backend does instead. */

const bytes = (text: string) => Buffer.from(text);
const textOf = (value: Uint8Array | undefined) => value && Buffer.from(value).toString();

describeWith(["memcached"], "memcached's traps", () => {
  let store: TestStore;
  let client: MemcachedClient;
  beforeAll(async () => {
    store = await startMemcached();
    client = new MemcachedClient({ servers: [store.address], commandTimeoutMs: 20_000 });
  });
  afterAll(async () => {
    client.close();
    await store.remove();
  });

  test("1: a placeholder looks like an empty value, but for its flags, which no value of ours has", async () => {
    expect(await client.get("t1", { vivifyS: 30 })).toMatchObject({ won: true, bytes: 0, placeholder: true });
    expect(await client.get("t1")).toMatchObject({ won: false, taken: true, placeholder: true });
    await client.set("empty", bytes(""));
    expect(await client.get("empty")).toMatchObject({ bytes: 0, placeholder: false });
    await expect(client.set("empty", bytes(""), { flags: 0 })).rejects.toMatchObject({
      code: "BACKEND_OPTION_INVALID",
    });
    const backend = memcachedBackend({ servers: [store.address] });
    expect(await backend.get(["t1", "empty"])).toMatchObject([
      { value: undefined },
      { value: new Uint8Array(0) },
    ]);
    await backend.close();
  });

  test("2: a winner that dies holds the key until its time is over, or until it gives the key up", async () => {
    expect(await client.get("t2", { vivifyS: 1 })).toMatchObject({ won: true });
    await until("another one wins", 20_000, async () => (await client.get("t2", { vivifyS: 60 }))?.won);
    expect(await client.get("t2", { vivifyS: 60 })).toMatchObject({ won: false, taken: true });
    expect(await client.delete("t2")).toBe("deleted");
    expect(await client.get("t2", { vivifyS: 60 })).toMatchObject({ won: true });
  });

  test("3: after a late store of an older value nobody wins, until it is marked as stale again", async () => {
    await client.set("t3", bytes("old"), { ttlS: 60 });
    const { cas } = (await client.get("t3"))!;
    await client.delete("t3", { markStale: true, ttlS: 60 });
    expect(await client.get("t3")).toMatchObject({ stale: true, won: true });
    expect(await client.set("t3", bytes("late"), { cas, evenIfOlder: true, ttlS: 60 })).toBe("stored");
    const read = () => client.get("t3", { vivifyS: 30 });
    expect(await read()).toMatchObject({ stale: true, won: false, taken: true });
    await client.delete("t3", { markStale: true });
    expect([await read(), await read()]).toMatchObject([{ won: true, stale: true }, { won: false }]);
    // As the backend writes: refused, so that the election stands.
    expect(await client.set("t3", bytes("late"), { cas, ttlS: 60 })).toBe("exists");
  });

  test("4: CAS numbers begin anew with a restart, and one of an older connection matches nothing", async () => {
    await store.stop();
    await store.start();
    const made = async () => {
      await until("it answers", 20_000, async () => (await client.ping()).get(store.address) === undefined);
      await client.set("t4", bytes("first"));
      return (await client.get("t4"))!.cas;
    };
    const before = await made();
    await store.stop();
    await store.start();
    const after = await made();
    expect(after.number).toBe(before.number);
    expect(await client.set("t4", bytes("wrong"), { cas: before })).toBe("exists");
    expect(await client.delete("t4", { cas: before })).toBe("exists");
    expect(textOf((await client.get("t4"))!.value)).toBe("first");
    expect(await client.set("t4", bytes("right"), { cas: after })).toBe("stored");
  });

  test("5: a late store in spite of a newer write spoils the winner's; ours are refused and read again", async () => {
    await client.set("t5", bytes("old"), { ttlS: 60 });
    const late = (await client.get("t5"))!.cas;
    await client.delete("t5", { markStale: true, ttlS: 60 });
    const winner = (await client.get("t5"))!;
    await client.set("t5", bytes("late"), { cas: late, evenIfOlder: true, ttlS: 60 });
    await client.set("t5", bytes("fresh"), { cas: winner.cas, evenIfOlder: true, ttlS: 60 });
    expect(await client.get("t5")).toMatchObject({ stale: true });

    const backend = memcachedBackend({ servers: [store.address] });
    const asked: (string | undefined)[] = [];
    const other: Promise<unknown>[] = [];
    await backend.set("ours", () => ({ value: bytes("1"), ttlMs: 60_000 }));
    // Two writers at once: whoever is refused is asked again about what the other one wrote.
    for (const name of ["a", "b"]) {
      other.push(
        backend.set("ours", (held) => {
          asked.push(textOf(held));
          return { value: bytes(`${textOf(held)}${name}`), ttlMs: 60_000 };
        }),
      );
    }
    await Promise.all(other);
    expect(asked).toHaveLength(3);
    expect(textOf((await client.get("ours"))!.value)).toMatch(/^1(?:ab|ba)$/);
    await backend.close();
  });
});
