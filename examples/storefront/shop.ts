import { createServer } from "node:http";
import { Client } from "drover";
import { createCache, memcachedBackend } from "drover/cache";
import { advice, computeAdvice, openDatabase, PRODUCTS, placesFromEnvironment } from "./catalogue.ts";

/* One of many processes behind one port. It computes nothing itself, unless both job servers are away. */

const REPORT_MS = 500;
const DEADLINE_MS = 10_000;

/** What this process did since its beginning. */
export interface ShopReport {
  readonly hits: number;
  readonly stale: number;
  /** Calls that waited for a computation. */
  readonly waits: number;
  /** How often this process asked for one. */
  readonly flights: number;
  /** Computed in this process, without a job server. */
  readonly own: number;
}

const places = placesFromEnvironment();
const database = openDatabase(places, 1);
const backend = memcachedBackend({ servers: [places.memcached], retry: { maxMs: 500 } });
const client = new Client({ servers: places.servers, backoff: { maxMs: 500 } });
const compute = (product: number) => computeAdvice(database, product);
const cache = createCache(advice, { client, backend, compute, maxOwnComputations: 1 });

const server = createServer({ keepAliveTimeout: 60_000 }, async (request, response) => {
  const answer = (status: number, body: unknown) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const [, number] = /^\/products\/([1-9]\d{0,3})$/.exec(request.url ?? "") ?? [];
  if (request.method !== "GET" || number === undefined || Number(number) > PRODUCTS)
    return answer(404, { error: `GET /products/1 to /products/${PRODUCTS}` });
  try {
    const { value, stale, asOfMs } = await cache.lookup(Number(number), { deadlineMs: DEADLINE_MS });
    answer(200, { ...value, stale, asOf: new Date(asOfMs).toISOString() });
  } catch (error) {
    answer(503, { error: (error as Error).message });
  }
});
server.listen(Number(process.env.STOREFRONT_PORT), "127.0.0.1");

setInterval(() => {
  const { hits, stale, waits, flights, ownComputations: own } = cache.metrics;
  process.send?.({ hits, stale, waits, flights, own } satisfies ShopReport);
}, REPORT_MS);
