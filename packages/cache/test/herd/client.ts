import { setTimeout as after } from "node:timers/promises";
import { Client } from "@drover/client";
import { createCache, memcachedBackend } from "../../src/index.ts";
import { cached, computedOf, noteBegin, type Places } from "./cached.ts";

/* One of many processes that ask for the same keys at the same time. */

/** What it is told to do. */
export interface Herd {
  readonly keys: readonly string[];
  /** Calls for each key. */
  readonly each: number;
  readonly jobServerTimeoutMs: number;
  /** Whether it may compute itself. */
  readonly computes: boolean;
}

/** What came of it. */
export interface HerdReport {
  /** Of calls that got the right value. */
  readonly right: number;
  readonly wrong: readonly string[];
  readonly hits: number;
  readonly flights: number;
  readonly levels: Readonly<Record<string, number>>;
}

const places: Places = JSON.parse(process.argv[2]!);
const backend = memcachedBackend({ servers: [places.memcached], retry: { maxMs: 100 } });
const client = new Client({ servers: places.server, backoff: { maxMs: 100 } });

async function ask({ keys, each, jobServerTimeoutMs, computes }: Herd): Promise<HerdReport> {
  const compute = async (key: string) => {
    noteBegin(places, key);
    await after(100);
    return computedOf(key);
  };
  const cache = createCache(cached, {
    client,
    backend,
    backendTimeoutMs: 10_000,
    jobServerTimeoutMs,
    compute: computes ? compute : undefined,
  });
  const asked = keys.flatMap((key) => Array.from({ length: each }, () => key));
  const ends = await Promise.allSettled(asked.map((key) => cache.get(key)));
  const wrong = ends.flatMap((end, i) => {
    if (end.status === "rejected") return [String(end.reason)];
    return end.value === computedOf(asked[i]!) ? [] : [end.value];
  });
  const { hits, flights, levels } = cache.metrics;
  return { right: ends.length - wrong.length, wrong, hits, flights, levels };
}

process.on("disconnect", () => process.exit());
process.on("message", (herd: Herd) => void ask(herd).then((report) => process.send!(report)));
await client.echo();
process.send!("ready");
