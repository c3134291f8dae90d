import { Worker } from "@drover/worker";
import { compute } from "./backend.ts";
import { Values } from "./cache-aside.ts";
import { handleValues } from "./ours.ts";
import type { Places } from "./places.ts";
import { JOB_SERVER, loadBullmq, type SchemeName } from "./schemes.ts";

/* A worker process of the schemes that have a job server: computes, stores, and completes only then. */

export interface WorkerOrder {
  readonly scheme: SchemeName;
  readonly places: Places;
}

const CONCURRENCY = 20;

async function work({ scheme, places }: WorkerOrder): Promise<void> {
  const values = new Values(places);
  /** A client may have looked before the last job had stored, and submitted after it had ended. */
  const run = async (key: string): Promise<string> => {
    const found = await values.tryGet(key);
    if (found !== undefined && !found.isStale) return found.value;
    const value = await compute(places.backend, key);
    await values.trySet(key, value);
    return value;
  };
  const server = JOB_SERVER[scheme]!;
  if (server === "redis") return (await loadBullmq()).work(places, run);
  const worker = new Worker({ servers: `127.0.0.1:${places[server]}`, concurrency: CONCURRENCY });
  if (scheme === "drover-cache") handleValues(worker, places);
  worker.handle("compute", async (job) =>
    Buffer.from(await run(Buffer.from(job.workload).toString("latin1"))),
  );
  worker.handle("ready", () => "");
  await worker.run();
}

process.on("disconnect", () => process.exit());
process.on("message", async (order: WorkerOrder) => {
  try {
    await work(order);
    process.send!({ answer: null });
  } catch (error) {
    process.send!({ error: (error as Error).message });
  }
});
