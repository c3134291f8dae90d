import { Worker } from "@drover/worker";

/** drover-worker.ts PORT CONCURRENCY: as README.md says of workers. */
const [port, concurrency] = process.argv.slice(2);
const worker = new Worker({ servers: `127.0.0.1:${port}`, concurrency: Number(concurrency) });
worker.handle("echo", (job) => job.workload);
await worker.run();
