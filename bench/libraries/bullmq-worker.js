import { Worker } from "bullmq";

/** bullmq-worker.js PORT CONCURRENCY: as README.md says of workers. */
const [port, concurrency] = process.argv.slice(2);
const worker = new Worker("echo", async (job) => job.data.workload, {
  connection: { host: "127.0.0.1", port: Number(port) },
  concurrency: Number(concurrency),
});
await worker.waitUntilReady();
