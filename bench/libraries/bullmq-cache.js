import { Queue, QueueEvents, Worker } from "bullmq";

/* BullMQ as bench/cache uses it: a job for each missing key, deduplicated by it. */

const NAME = "compute";
/** Who begins to wait for a job that has ended needs to find it. */
const KEPT = { removeOnComplete: { count: 10_000 }, removeOnFail: { count: 10_000 } };

const connectionTo = ({ redis }) => ({ host: "127.0.0.1", port: redis, maxRetriesPerRequest: null });

/** @param places As schemes.ts of bench/cache says. */
export async function connectQueue(places) {
  const connection = connectionTo(places);
  const queue = new Queue(NAME, { connection });
  const events = new QueueEvents(NAME, { connection });
  queue.setMaxListeners(0);
  events.setMaxListeners(0);
  for (const emitter of [queue, events]) emitter.on("error", () => {});
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  return {
    load: async (key) => {
      const job = await queue.add(NAME, { key }, { deduplication: { id: key }, ...KEPT });
      return job.waitUntilFinished(events, places.deadlineMs);
    },
    close: async () => {
      await Promise.all([events.close(), queue.close()]);
    },
  };
}

/** A worker, until the process ends. @param run Computes and stores the value of a key. */
export async function work(places, run) {
  const worker = new Worker(NAME, (job) => run(job.data.key), {
    connection: connectionTo(places),
    concurrency: 20,
  });
  worker.on("error", () => {});
  await worker.waitUntilReady();
}
