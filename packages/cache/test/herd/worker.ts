import { Worker } from "@drover/worker";
import { handleCached, memcachedBackend } from "../../src/index.ts";
import { cached, computedOf, noteBegin, type Places } from "./cached.ts";

/* A worker process. What it computes ends when it is told `open`, at once from then on. */

const places: Places = JSON.parse(process.argv[2]!);
const opened = Promise.withResolvers<void>();
const backend = memcachedBackend({ servers: [places.memcached] });
const worker = new Worker({ servers: places.server, concurrency: 16 });
handleCached(
  worker,
  cached,
  async (key) => {
    noteBegin(places, key);
    await opened.promise;
    return computedOf(key);
  },
  { backend, backendTimeoutMs: 10_000 },
);
process.on("disconnect", () => process.exit());
process.on("message", () => opened.resolve());
await worker.run();
process.send!("ready");
