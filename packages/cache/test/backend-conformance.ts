import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../../test/peers/until.ts";
import type { CacheBackend } from "../src/index.ts";

const bytes = (text: string) => Buffer.from(text);
const textOf = (value: Uint8Array | undefined) => value && Buffer.from(value).toString();

/** What a cache relies on, whatever its backend. */
export function backendConformance(name: string, make: () => Promise<CacheBackend>): void {
  describe(`a ${name} backend`, () => {
    let backend: CacheBackend;
    let keys = 0;
    const newKey = () => `key:${++keys}`;
    const held = async (key: string) => {
      const [entry] = await backend.get([key]);
      if (entry instanceof Error) throw entry;
      return textOf(entry!.value);
    };
    const elected = async (key: string, electMs = 60_000) => {
      const [entry] = await backend.get([key], { electMs });
      if (entry instanceof Error) throw entry;
      return entry!.elected;
    };
    const put = (key: string, text: string, ttlMs = 60_000) =>
      backend.set(key, () => ({ value: bytes(text), ttlMs }));

    beforeAll(async () => {
      backend = await make();
    });
    afterAll(() => backend.close());

    test("gives what was stored, byte for byte, and nothing for what was not", async () => {
      const key = newKey();
      expect(await held(key)).toBeUndefined();
      const value = Uint8Array.from({ length: 1_000 }, (_, i) => i);
      expect(await backend.set(key, () => ({ value, ttlMs: 60_000 }))).toBe(true);
      const [entry] = await backend.get([key]);
      expect(Buffer.from((entry as { value: Uint8Array }).value).equals(value)).toBe(true);
    });

    test("an empty value is a value", async () => {
      const key = newKey();
      await put(key, "");
      expect(await held(key)).toBe("");
    });

    test("answers a batch in the order of its keys", async () => {
      const many = Array.from({ length: 1_200 }, newKey);
      await Promise.all(many.filter((_, i) => i % 2 === 0).map((key) => put(key, key)));
      const found = await backend.get(many);
      expect(found.map((entry) => (entry instanceof Error ? entry : textOf(entry.value)))).toEqual(
        many.map((key, i) => (i % 2 === 0 ? key : undefined)),
      );
    });

    test("a change sees what is held, and may leave it", async () => {
      const key = newKey();
      await put(key, "old");
      let seen: string | undefined;
      const stored = await backend.set(key, (value) => {
        seen = textOf(value);
        return undefined;
      });
      expect([stored, seen, await held(key)]).toEqual([false, "old", "old"]);
    });

    test("changes at the same time are one after the other", async () => {
      const key = newKey();
      const add = () =>
        backend.set(key, (value) => ({
          value: bytes(String(Number(textOf(value) ?? 0) + 1)),
          ttlMs: 60_000,
        }));
      await Promise.all([add(), add(), add(), add()]);
      expect(await held(key)).toBe("4");
    });

    test("a value is gone when its time is over", async () => {
      const key = newKey();
      await put(key, "short", 50);
      await until("it is gone", 20_000, async () => (await held(key)) === undefined);
    });

    test("one of all who ask is elected, with a value or without", async () => {
      const asked = await Promise.all(Array.from({ length: 20 }, () => elected("none")));
      expect(asked.filter(Boolean)).toHaveLength(1);
      const key = newKey();
      await put(key, "stale");
      expect([await elected(key), await elected(key), await held(key)]).toEqual([true, false, "stale"]);
    });

    test("who is elected leaves nothing that could be taken for a value", async () => {
      const key = newKey();
      expect(await elected(key)).toBe(true);
      expect(await held(key)).toBeUndefined();
    });

    test("an election ends when its time is over, when the key is set, and when it is invalidated", async () => {
      const key = newKey();
      expect(await elected(key, 50)).toBe(true);
      await until("another is elected", 20_000, () => elected(key));
      await put(key, "new");
      expect([await elected(key), await elected(key)]).toEqual([true, false]);
      await backend.invalidate(key, () => ({ value: bytes("void"), ttlMs: 60_000 }));
      expect([await elected(key), await held(key)]).toEqual([true, "void"]);
    });

    test("an invalidation that cannot replace what is held removes it", async () => {
      const key = newKey();
      await put(key, "old");
      await backend.invalidate(key, () => ({ value: new Uint8Array(80_000_000), ttlMs: 60_000 }));
      expect(await held(key)).toBeUndefined();
    });

    test("an error of a change is the caller's, and nothing is stored", async () => {
      const key = newKey();
      await put(key, "old");
      const fault = new Error("a fault");
      const change = () => {
        throw fault;
      };
      await expect(backend.set(key, change)).rejects.toBe(fault);
      await expect(backend.invalidate(key, change)).rejects.toBe(fault);
      expect(await held(key)).toBe("old");
    });

    test("keys of the greatest length are taken", async () => {
      const key = "k".repeat(200);
      await put(key, "long");
      expect([await held(key), await elected(key)]).toEqual(["long", true]);
    });

    test("nothing is answered once it is closed", async () => {
      const other = await make();
      await other.close();
      await expect(other.get(["key"])).rejects.toMatchObject({ code: "BACKEND_CLOSED" });
      await expect(other.set("key", () => undefined)).rejects.toMatchObject({ code: "BACKEND_CLOSED" });
      await expect(other.invalidate("key", () => undefined)).rejects.toMatchObject({
        code: "BACKEND_CLOSED",
      });
    });
  });
}
