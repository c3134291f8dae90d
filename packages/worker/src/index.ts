export { JobAborted, JobFailure, ThreadEnded, type WorkerErrorCode } from "./errors.ts";
export type { Handler, HandlerResult, WorkerJob } from "./job.ts";
export type { ThreadOptions, Threads } from "./threads.ts";
export { type HandleOptions, Worker, type WorkerOptions } from "./worker.ts";
