import { flushCompileCache } from "node:module";
import { Worker } from "drover";
import { handleCached, memcachedBackend } from "drover/cache";
import { advice, computeAdvice, openDatabase, placesFromEnvironment } from "./catalogue.ts";

/* The one process that computes, for all shops. */

const CONCURRENCY = 4;

const places = placesFromEnvironment();
const database = openDatabase(places, CONCURRENCY);
const backend = memcachedBackend({ servers: [places.memcached], retry: { maxMs: 500 } });
const worker = new Worker({
  servers: places.servers,
  concurrency: CONCURRENCY,
  clientId: "storefront",
  backoff: { maxMs: 500 },
});
handleCached(worker, advice, (product) => computeAdvice(database, product), { backend });
await worker.run();

process.on("disconnect", () => process.exit());
// The shops begin with the same sources.
flushCompileCache();
process.send?.("ready");
