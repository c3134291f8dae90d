import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CertificateAuthority } from "../../../test/peers/certificates.ts";
import { describeWith } from "../../../test/peers/needs.ts";
import { startMemcached, type TestStore } from "../../../test/peers/stores.ts";
import { until } from "../../../test/peers/until.ts";
import { type BackendErrorCode, MemcachedClient, type MemcachedClientOptions } from "../src/index.ts";

const bytes = (text: string) => Buffer.from(text);
const failing = (code: BackendErrorCode) => expect.objectContaining({ code });
const PATIENT = { connectTimeoutMs: 20_000, commandTimeoutMs: 20_000 };

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function client(options: MemcachedClientOptions): MemcachedClient {
  const made = new MemcachedClient({ ...PATIENT, ...options });
  ends.push(() => made.close());
  return made;
}

/** A peer that answers as `answer` says, or not at all. */
async function peer(answer: (request: Buffer, socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => answer(chunk, socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("a memcached client and a peer that is none", () => {
  test("any bytes end in an error with a code, and never in more", async () => {
    let next: Uint8Array = bytes("");
    const address = await peer((_request, socket) => socket.end(next));
    const asking = client({ servers: [address], retry: { initialMs: 0.01, maxMs: 0.01 } });
    const known = fc.constantFrom(
      "VA 3 c1\r\nabc\r\n",
      "HD\r\nHD\r\n",
      "VA 3 cx\r\nabc\r\n",
      "ERROR\r\n",
      "VA 3 O9zz\r\nabc\r\n",
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array(), known.map(bytes)), async (garbage) => {
        next = garbage;
        const answer = await asking.get("key").catch((error: { code: string }) => error.code);
        if (typeof answer === "string")
          expect(answer).toMatch(/^BACKEND_(?:BROKEN|LOST|REFUSED|UNAVAILABLE)$/);
      }),
      { numRuns: 60 },
    );
  });

  test("an answer to another call closes the connection", async () => {
    const address = await peer((_request, socket) => socket.write("HD O99\r\n"));
    await expect(client({ servers: [address] }).get("key")).rejects.toEqual(failing("BACKEND_BROKEN"));
  });

  test("no answer in time fails all calls, and the node is then left alone", async () => {
    const address = await peer(() => {});
    const asking = client({
      servers: [address],
      commandTimeoutMs: 30,
      retry: { initialMs: 60_000, maxMs: 60_000 },
    });
    const calls = await Promise.allSettled([asking.get("a"), asking.get("b")]);
    expect(calls.map((call) => (call as PromiseRejectedResult).reason)).toEqual([
      failing("BACKEND_TIMEOUT"),
      failing("BACKEND_TIMEOUT"),
    ]);
    await expect(asking.get("a")).rejects.toEqual(failing("BACKEND_UNAVAILABLE"));
  });

  test("calls beyond maxPipelined and bytes beyond maxUnsentBytes are refused", async () => {
    const address = await peer((_request, socket) => socket.pause());
    const narrow = client({ servers: [address], maxPipelined: 2 });
    const waiting = [narrow.get("a"), narrow.get("b")];
    for (const call of waiting) call.catch(() => {});
    await expect(narrow.get("c")).rejects.toEqual(failing("BACKEND_BUSY"));

    const small = client({ servers: [address], maxUnsentBytes: 1_000 });
    small.set("a", new Uint8Array(800)).catch(() => {});
    await expect(small.set("b", new Uint8Array(800))).rejects.toEqual(failing("BACKEND_BUSY"));
  });

  test("closing rejects what waits", async () => {
    let asked = false;
    const address = await peer(() => {
      asked = true;
    });
    const asking = client({ servers: [address] });
    const call = expect(asking.get("a")).rejects.toEqual(failing("BACKEND_CLOSED"));
    await until("it is asked", 20_000, () => asked);
    asking.close();
    await call;
    await expect(asking.get("a")).rejects.toEqual(failing("BACKEND_CLOSED"));
  });
});

describe("what a memcached client refuses before it sends", () => {
  test.each([
    ["an empty key", "", "BACKEND_KEY_INVALID"],
    ["a key of 251 bytes", "k".repeat(251), "BACKEND_KEY_INVALID"],
    ["bytes that are longer in base64", new Uint8Array(188), "BACKEND_KEY_INVALID"],
  ] as const)("%s", async (_what, key, code) => {
    await expect(client({ servers: ["127.0.0.1:1"] }).get(key)).rejects.toEqual(failing(code));
  });

  test("values beyond maxValueBytes, and times that are none", async () => {
    const asking = client({ servers: ["127.0.0.1:1"], maxValueBytes: 10 });
    await expect(asking.set("k", new Uint8Array(11))).rejects.toEqual(failing("BACKEND_VALUE_TOO_LARGE"));
    await expect(asking.set("k", bytes(""), { ttlS: 0 })).rejects.toEqual(failing("BACKEND_OPTION_INVALID"));
    await expect(asking.get("k", { vivifyS: 2_592_001 })).rejects.toEqual(failing("BACKEND_OPTION_INVALID"));
    expect(() => client({ servers: [] })).toThrow("BACKEND_OPTION_INVALID");
    expect(() => client({ servers: ["a", "a"] })).toThrow("BACKEND_OPTION_INVALID");
  });
});

describeWith(["memcached"], "a memcached client", () => {
  let store: TestStore;
  let other: TestStore;
  beforeAll(async () => {
    [store, other] = await Promise.all([startMemcached(), startMemcached()]);
  });
  afterAll(() => Promise.all([store.remove(), other.remove()]));

  test("stores and reads in all modes, counts and deletes", async () => {
    const asking = client({ servers: [store.address] });
    expect(await asking.get("m")).toBeUndefined();
    expect(await asking.set("m", bytes("b"), { mode: "replace" })).toBe("not-stored");
    expect(await asking.set("m", bytes("b"), { mode: "add", ttlS: 100, flags: 7 })).toBe("stored");
    expect(await asking.set("m", bytes("x"), { mode: "add" })).toBe("not-stored");
    await asking.set("m", bytes("c"), { mode: "append" });
    await asking.set("m", bytes("a"), { mode: "prepend" });
    const item = (await asking.get("m"))!;
    expect(item).toMatchObject({ bytes: 3, flags: 7, won: false, stale: false, taken: false });
    expect(Buffer.from(item.value).toString()).toBe("abc");
    expect(item.ttlS).toBeGreaterThan(90);
    expect(await asking.get("m", { headOnly: true })).toMatchObject({ bytes: 3, value: new Uint8Array(0) });
    expect([await asking.delete("m"), await asking.delete("m")]).toEqual(["deleted", "not-found"]);
    const initial = { value: 5, ttlS: 60 };
    expect(await asking.count("n", { initial })).toBe(5n);
    expect([await asking.count("n", { by: 3 }), await asking.count("n", { by: -20 })]).toEqual([8n, 0n]);
    expect(await asking.count("none")).toBeUndefined();
  });

  test("one reader wins before the end, the others have the value", async () => {
    const asking = client({ servers: [store.address] });
    await asking.set("early", bytes("v"), { ttlS: 100 });
    const read = () => asking.get("early", { recacheS: 200 });
    expect([await read(), await read()]).toMatchObject([
      { won: true, bytes: 1 },
      { won: false, taken: true, bytes: 1 },
    ]);
  });

  test("a time to live above 30 days is a length as well", async () => {
    const asking = client({ servers: [store.address] });
    await asking.set("long", bytes("v"), { ttlS: 40 * 86_400 });
    expect((await asking.get("long"))?.ttlS).toBeGreaterThan(39 * 86_400);
  });

  test("keys may be any text or bytes", async () => {
    const asking = client({ servers: [store.address, other.address] });
    const keys = ["plain", "with space", "a\r\nb", "ключ", Uint8Array.of(0, 255, 10)];
    await Promise.all(keys.map((key, i) => asking.set(key, bytes(String(i)))));
    const found = await asking.getMany(keys);
    expect(found.map((item) => Buffer.from((item as { value: Uint8Array }).value).toString())).toEqual([
      "0",
      "1",
      "2",
      "3",
      "4",
    ]);
  });

  test("a value that memcached refuses is an error, and the calls behind it are answered", async () => {
    const asking = client({ servers: [store.address], maxValueBytes: 4_000_000 });
    const [large, small] = await Promise.allSettled([
      asking.set("large", new Uint8Array(2_000_000)),
      asking.set("small", bytes("s")),
    ]);
    expect((large as PromiseRejectedResult).reason).toEqual(failing("BACKEND_REFUSED"));
    expect(small).toMatchObject({ value: "stored" });
  });

  test("a caller may write into its array once it has the promise", async () => {
    const asking = client({ servers: [store.address] });
    await asking.ping();
    const value = bytes("before");
    const stored = asking.set("mine", value);
    await Promise.resolve();
    value.fill(0);
    await stored;
    expect(Buffer.from((await asking.get("mine"))!.value).toString()).toBe("before");
  });

  test("tells version and statistics of each node", async () => {
    const asking = client({ servers: [store.address, other.address] });
    for (const version of (await asking.versions()).values()) expect(version).toMatch(/^1\./);
    for (const stats of (await asking.stats()).values())
      expect((stats as ReadonlyMap<string, string>).get("pid")).toMatch(/^\d+$/);
    expect([...(await asking.ping()).values()]).toEqual([undefined, undefined]);
  });

  test("keys go to nodes by weight, and stay where they are when another list order is given", async () => {
    const heavy = { address: store.address, name: "heavy", weight: 9 };
    const light = { address: other.address, name: "light" };
    const [one, two] = [client({ servers: [heavy, light] }), client({ servers: [light, heavy] })];
    const keys = Array.from({ length: 200 }, (_, i) => `weighed:${i}`);
    await Promise.all(keys.map((key) => one.set(key, bytes("v"))));
    expect((await two.getMany(keys)).filter((item) => item === undefined)).toEqual([]);
    const onLight = (await client({ servers: [other.address] }).getMany(keys)).filter(
      (item) => item !== undefined,
    );
    expect(onLight.length).toBeGreaterThan(2);
    expect(onLight.length).toBeLessThan(60);
  });

  test("keys of a node that is away fail, or go to the next one where that is asked for", async () => {
    const away = "127.0.0.1:1";
    const retry = { initialMs: 60_000, maxMs: 60_000 };
    const keys = Array.from({ length: 30 }, (_, i) => `away:${i}`);
    const failed = (found: readonly unknown[]) => found.filter((one) => one instanceof Error).length;
    const strict = client({ servers: [store.address, away], retry });
    await strict.getMany(keys);
    expect(failed(await strict.getMany(keys))).toBeGreaterThan(0);
    const lax = client({ servers: [store.address, away], retry, whenEjected: "next" });
    await lax.getMany(keys);
    expect(failed(await lax.getMany(keys))).toBe(0);
  });

  test("speaks over Unix sockets and IPv6", async () => {
    const folder = mkdtempSync(join(tmpdir(), "drover-memcached-"));
    ends.push(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "socket");
    const unix = await startMemcached(() => ["-s", path]);
    ends.push(() => unix.remove());
    const six = await startMemcached((port) => ["-l", "::1,127.0.0.1", "-p", String(port)]);
    ends.push(() => six.remove());
    for (const address of [`unix:${path}`, `[::1]:${six.port}`]) {
      const asking = client({ servers: [address], retry: { maxMs: 50 } });
      await until("it answers", 20_000, async () => (await asking.ping()).get(address) === undefined);
      expect(await asking.set("k", bytes("v"))).toBe("stored");
    }
  });
});

describeWith(["memcached", "openssl"], "a memcached client over TLS", () => {
  test("speaks with a server whose certificate is good, and with no other", async () => {
    const authority = await CertificateAuthority.create();
    ends.push(() => authority.dispose());
    const { files } = await authority.issueForLocalhost();
    const store = await startMemcached((port) => [
      ...["-l", "127.0.0.1", "-p", String(port), "-Z"],
      ...["-o", `ssl_chain_cert=${files.certificate},ssl_key=${files.key}`],
    ]);
    ends.push(() => store.remove());
    const servers = [`tls://127.0.0.1:${store.port}`];
    const trusting = client({ servers, tls: { ca: authority.root.cert } });
    expect(await trusting.set("k", bytes("v"))).toBe("stored");
    await expect(client({ servers }).get("k")).rejects.toEqual(failing("BACKEND_UNAVAILABLE"));
  });
});
