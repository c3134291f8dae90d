import { Queue, QueueEvents } from "bullmq";
import { measure } from "./submitters.ts";

/** bullmq-client.js PORT UNIQUES SUBMITTERS WARMUP_MS MEASURE_MS */
const [port, ...words] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(port) };
const queue = new Queue("echo", { connection });
const events = new QueueEvents("echo", { connection });
// Each waiting submission listens for the end of the queue.
queue.setMaxListeners(0);
events.setMaxListeners(0);
await events.waitUntilReady();

// Who begins to wait for a job that has ended needs to find it.
const removeOnComplete = { count: 10_000 };

await measure(words, async (_submitter, unique, workload) => {
  const job = await queue.add("echo", { workload }, { deduplication: { id: unique }, removeOnComplete });
  return job.waitUntilFinished(events);
});
await Promise.all([events.close(), queue.close()]);
