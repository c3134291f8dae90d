import { JobFailure, type WorkerJob } from "../../src/index.ts";

/** A handler for threads that does what its workload says. */
export default async function shout(job: WorkerJob): Promise<string> {
  const text = Buffer.from(job.workload).toString();
  if (text === "report") {
    job.status(1, 2);
    await job.data("one");
    await job.warning("two");
  }
  if (text === "throw") throw new RangeError("thrown in a thread");
  if (text === "fail") throw new JobFailure("failed in a thread");
  if (text === "exit") process.exit(3);
  if (text === "wait") {
    if (!job.signal.aborted) await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
    return `stopped: ${(job.signal.reason as { code: string }).code}`;
  }
  while (text === "hang");
  return text.toUpperCase();
}
