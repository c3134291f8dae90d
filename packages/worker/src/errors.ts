/** Codes of the reasons for which a job's signal aborts, and of what a worker refuses to do. */
export type WorkerErrorCode =
  | "HANDLER_MISSING"
  | "JOB_CANCELLED"
  | "JOB_OVERDUE"
  | "SERVER_GONE"
  | "THREAD_ENDED"
  | "WORKER_CLOSED";

/** The reason of a job's signal: nobody waits for the job any more, so its handler may as well stop. */
export class JobAborted extends Error {
  override readonly name = "JobAborted";
  readonly code: WorkerErrorCode;
  constructor(code: WorkerErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

/** Thrown by a handler: the job fails, and its clients are told no reason. Any other error tells them its message. */
export class JobFailure extends Error {
  override readonly name = "JobFailure";
}

/** The thread that ran the job ended before the job did. */
export class ThreadEnded extends Error {
  override readonly name = "ThreadEnded";
  readonly code: WorkerErrorCode = "THREAD_ENDED";
  constructor(detail: string, options?: ErrorOptions) {
    super(`THREAD_ENDED: ${detail}`, options);
  }
}
