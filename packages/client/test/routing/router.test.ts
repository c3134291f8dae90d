import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type RoutedServer, Router, type RouterOptions, rankServers, type Target } from "../../src/index.ts";

const HOLD_MS = 5_000;
const HANDOVER_MS = 60_000;
const none = new Uint8Array(0);

const serversOf = (...names: string[]): RoutedServer[] =>
  names.map((name) => ({ name, address: `${name}:4730` }));
const five = serversOf("gm1", "gm2", "gm3", "gm4", "gm5");

const target = (unique: string): Target => ({
  function: "f",
  unique,
  workload: none,
  key: unique === "" ? "" : `f\0${unique}`,
});

function routerOf(servers: readonly RoutedServer[] = five, options: Partial<RouterOptions> = {}): Router {
  const router = new Router({
    mode: "rendezvous",
    holdMs: HOLD_MS,
    handoverMs: HANDOVER_MS,
    maxSettledKeys: 10_000,
    ...options,
  });
  router.setServers(servers, 0);
  return router;
}

const rankOf = (unique: string, servers = five) => rankServers(servers, "f", unique).map(({ name }) => name);
const goes = (router: Router, unique: string, nowMs: number) =>
  router.route(target(unique), nowMs)?.server.name;
const asks = (router: Router, unique: string, nowMs: number) =>
  router.route(target(unique), nowMs)!.ask.map(({ name }) => name);

describe("a call with a unique", () => {
  it("goes to its owner, and past suspects to the next in rank", () => {
    const router = routerOf();
    const rank = rankOf("u");
    for (const [i, name] of rank.entries()) {
      expect(goes(router, "u", i)).toBe(name);
      expect(asks(router, "u", i)).toEqual([]);
      router.suspect(name, i);
    }
    expect(router.route(target("u"), 10)).toBeUndefined();
  });

  it("returns to its owner only when that has answered for the hold time, and again from the start after a relapse", () => {
    const router = routerOf();
    const [owner, next] = rankOf("u") as [string, string];
    router.suspect(owner, 0);
    router.answered(owner, 1_000);
    expect(goes(router, "u", 1_000 + HOLD_MS - 1)).toBe(next);
    router.suspect(owner, 5_500);
    router.answered(owner, 5_600);
    expect(goes(router, "u", 5_600 + HOLD_MS - 1)).toBe(next);
    expect(goes(router, "u", 5_600 + HOLD_MS)).toBe(owner);
  });

  it("goes at once to a server that answers again when there is no other", () => {
    const router = routerOf();
    for (const { name } of five) router.suspect(name, 0);
    router.answered("gm4", 10);
    expect(goes(router, "u", 10)).toBe("gm4");
  });

  it("stays where its first call of this client is until all of them have ended", () => {
    const router = routerOf();
    const [owner, next] = rankOf("u") as [string, string];
    router.suspect(owner, 0);
    router.begin(target("u").key, next);
    router.begin(target("u").key, next);
    router.answered(owner, 1);
    expect(router.route(target("u"), HOLD_MS + 1)).toMatchObject({ server: { name: next }, ask: [] });
    router.end(target("u").key, next);
    expect(goes(router, "u", HOLD_MS + 1)).toBe(next);
    router.end(target("u").key, next);
    expect(goes(router, "u", HOLD_MS + 1)).toBe(owner);
  });

  it("does not stay with a server that is suspect", () => {
    const router = routerOf();
    const [owner, next] = rankOf("u") as [string, string];
    router.begin(target("u").key, owner);
    router.suspect(owner, 0);
    expect(goes(router, "u", 0)).toBe(next);
    router.end(target("u").key, owner);
    router.begin(target("u").key, next);
    expect(goes(router, "u", 0)).toBe(next);
  });
});

describe("a returned owner", () => {
  const back = () => {
    const router = routerOf();
    const rank = rankOf("u");
    router.suspect(rank[0]!, 0);
    router.answered(rank[0]!, 1);
    return { router, rank, nowMs: 1 + HOLD_MS };
  };

  it("is preceded by a question to the one that had its keys, until that is answered", () => {
    const { router, rank, nowMs } = back();
    expect(goes(router, "u", nowMs)).toBe(rank[0]);
    expect(asks(router, "u", nowMs)).toEqual([rank[1]]);
    router.settle(target("u").key, rank[0]!);
    expect(asks(router, "u", nowMs)).toEqual([]);
  });

  it("is not asked about for ever", () => {
    const { router, rank, nowMs } = back();
    goes(router, "u", nowMs);
    expect(asks(router, "u", nowMs + HANDOVER_MS - 1)).toEqual([rank[1]]);
    expect(asks(router, "u", nowMs + HANDOVER_MS)).toEqual([]);
  });

  it("that goes and comes again is asked about again", () => {
    const { router, rank, nowMs } = back();
    router.settle(target("u").key, rank[0]!);
    router.suspect(rank[0]!, nowMs);
    router.answered(rank[0]!, nowMs);
    expect(asks(router, "u", nowMs + HOLD_MS)).toEqual([rank[1]]);
  });

  it("is asked about at all that may have had the key, up to one that was there all the time", () => {
    const { router, rank, nowMs } = back();
    router.suspect(rank[1]!, 2);
    router.answered(rank[1]!, 3);
    router.suspect(rank[2]!, 3);
    expect(asks(router, "u", nowMs + 3)).toEqual([rank[1], rank[3]]);
  });

  it("remembers no more than maxSettledKeys", () => {
    const servers = serversOf("gm1", "gm2");
    const router = routerOf(servers, { maxSettledKeys: 3 });
    router.suspect("gm1", 0);
    router.answered("gm1", 0);
    const own = Array.from({ length: 100 }, (_, i) => `u${i}`).filter(
      (unique) => rankOf(unique, servers)[0] === "gm1",
    );
    for (const unique of own.slice(0, 4)) {
      goes(router, unique, HOLD_MS);
      router.settle(target(unique).key, "gm1");
    }
    expect(asks(router, own[0]!, HOLD_MS)).toEqual(["gm2"]);
    for (const unique of own.slice(1, 4)) expect(asks(router, unique, HOLD_MS)).toEqual([]);
  });

  it("is not asked about for the unique -, which no server can be asked for", () => {
    const router = routerOf();
    for (const { name } of five) {
      router.suspect(name, 0);
      router.answered(name, 0);
    }
    const dash = { function: "f", unique: "-", workload: Buffer.from("w"), key: "f\0-\0w" };
    expect(router.route(dash, HOLD_MS)!.ask).toEqual([]);
    expect(router.route(dash, HOLD_MS)!.server.name).toBe(rankOf("w")[0]);
  });
});

describe("a new list", () => {
  it("moves keys only to the server that came, which is asked about at the one that had them", () => {
    const router = routerOf();
    const six = [...five, ...serversOf("gm6")];
    router.setServers(six, 1);
    let moved = 0;
    for (let i = 0; i < 1_000; i++) {
      const unique = `u${i}`;
      if (rankOf(unique, six)[0] === "gm6") {
        moved++;
        expect(asks(router, unique, 1)).toEqual([rankOf(unique)[0]]);
      } else {
        expect(goes(router, unique, 1)).toBe(rankOf(unique)[0]);
        expect(asks(router, unique, 1)).toEqual([]);
      }
    }
    expect(moved).toBeGreaterThan(100);
  });

  it("keeps what is known of servers that stay, also in another order", () => {
    const router = routerOf();
    const [owner, next] = rankOf("u") as [string, string];
    router.suspect(owner, 0);
    router.setServers(five.toReversed(), 1);
    expect(goes(router, "u", 1)).toBe(next);
  });

  it("with other weights asks everybody, since keys may come from anywhere", () => {
    const router = routerOf();
    router.setServers(
      five.map((server) => ({ ...server, weight: server.name === "gm1" ? 9 : 1 })),
      1,
    );
    expect(asks(router, "u", 1)).toHaveLength(4);
  });
});

describe("a call without a unique", () => {
  it("goes to the server with the least outstanding, and round where they are equal", () => {
    const router = routerOf();
    const used = Array.from({ length: 10 }, () => {
      const name = goes(router, "", 0)!;
      router.begin("", name);
      return name;
    });
    expect(used.slice(0, 5).toSorted()).toEqual(five.map(({ name }) => name));
    router.end("", "gm3");
    router.end("", "gm3");
    expect(goes(router, "", 0)).toBe("gm3");
    router.suspect("gm3", 0);
    expect(goes(router, "", 0)).not.toBe("gm3");
  });
});

describe("failover", () => {
  it("sends everything to the first server that answers, and stays with the next when that is lost", () => {
    const router = routerOf(five, { mode: "failover" });
    expect([goes(router, "u", 0), goes(router, "", 0), goes(router, "v", 0)]).toEqual(["gm1", "gm1", "gm1"]);
    router.suspect("gm1", 0);
    expect([goes(router, "u", 0), goes(router, "", 0)]).toEqual(["gm2", "gm2"]);
    router.answered("gm1", 0);
    expect([goes(router, "u", HOLD_MS), goes(router, "", HOLD_MS)]).toEqual(["gm2", "gm2"]);
    expect(asks(router, "u", HOLD_MS)).toEqual([]);
  });
});

describe("any history", () => {
  /** What happens to a client and its servers; calls of a few keys, so that they meet. */
  const step = fc.oneof(
    fc.record({ type: fc.constant("pause" as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
    fc.record({ type: fc.constant("suspect" as const), server: fc.nat(4) }),
    fc.record({ type: fc.constant("answered" as const), server: fc.nat(4) }),
    fc.record({ type: fc.constant("begin" as const), key: fc.nat(5) }),
    fc.record({ type: fc.constant("end" as const), key: fc.nat(5) }),
  );

  it("never routes to a suspect while another answers, never moves a key that is under way, and ends at the owners", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const router = routerOf();
        const suspects = new Set<string>();
        const under = new Map<string, string[]>();
        let nowMs = 0;
        for (const happened of steps) {
          if (happened.type === "pause") nowMs += happened.ms;
          else if (happened.type === "suspect") {
            const { name } = five[happened.server]!;
            router.suspect(name, nowMs);
            suspects.add(name);
            for (const [unique, places] of under) {
              for (const place of places.filter((at) => at === name)) router.end(target(unique).key, place);
              under.set(
                unique,
                places.filter((at) => at !== name),
              );
            }
          } else if (happened.type === "answered") {
            router.answered(five[happened.server]!.name, nowMs);
            suspects.delete(five[happened.server]!.name);
          } else if (happened.type === "begin") {
            const unique = `u${happened.key}`;
            const route = router.route(target(unique), nowMs);
            expect(route === undefined).toBe(suspects.size === 5);
            if (route === undefined) continue;
            expect(suspects).not.toContain(route.server.name);
            for (const { name } of route.ask) expect(suspects).not.toContain(name);
            const places = under.get(unique) ?? [];
            if (places.length > 0) expect(route.server.name).toBe(places[0]);
            router.begin(target(unique).key, route.server.name);
            under.set(unique, [...places, route.server.name]);
          } else {
            const unique = `u${happened.key}`;
            const place = under.get(unique)?.pop();
            if (place !== undefined) router.end(target(unique).key, place);
          }
        }
        for (const { name } of five) router.answered(name, nowMs);
        for (const [unique, places] of under) {
          for (const place of places) router.end(target(unique).key, place);
          expect(goes(router, unique, nowMs + HOLD_MS)).toBe(rankOf(unique)[0]);
        }
      }),
    );
  });
});
