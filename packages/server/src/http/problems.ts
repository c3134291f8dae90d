import type { FastifyReply } from "fastify";

/*
 * Errors as problem details (RFC 9457), the same for every request.
 */

/** A reference that the server itself answers, with what the problem means. */
const TYPE = "/v1/problems/";

/** Problems by name: status, whether the same request may succeed later, and what it means. */
export const PROBLEMS = {
  "bad-header": [400, false, "A header field has a value that it cannot have."],
  "bad-function": [400, false, "No function can have this name, or none is named."],
  "bad-request": [400, false, "The request makes no sense as it is."],
  unauthenticated: [401, false, "A token is needed, or the one given is not valid."],
  forbidden: [403, false, "The identity lacks the right to do this."],
  "cross-site": [403, false, "A page of another site asked for it, whose origin is not in http.origins."],
  "host-not-allowed": [403, false, "The Host field names a host that is neither loopback nor in http.hosts."],
  "not-found": [404, false, "There is nothing at this path."],
  "unknown-job": [404, false, "There is no such job, and how it ended is not known (any more)."],
  "method-not-allowed": [405, false, "The path takes another method."],
  "not-acceptable": [406, false, "The answer has no form that Accept allows."],
  "unique-conflict": [409, false, "A job of the unique waits, and joining was not wanted."],
  "already-running": [409, false, "The job runs already."],
  conflict: [409, false, "What it is about is in a state in which this cannot be done."],
  "state-lost": [410, true, "What the job reported so far is not known: submit again with the same unique."],
  "lease-lost": [410, false, "The job was given to another worker, timed out, was cancelled or has ended."],
  "too-large": [413, false, "Body, function name or unique exceeds its limit."],
  "rate-limited": [429, true, "The identity submits more than it may."],
  "job-failed": [500, false, "The worker reported that the job failed."],
  "job-exception": [500, false, "The worker reported an exception, which is in the member of that name."],
  "job-timeout": [504, false, "The time that its worker or the request gives the job was spent."],
  internal: [500, true, "A fault of the server, which its log tells."],
  "no-worker": [503, true, "No worker can do it now, and one was required."],
  "queue-full": [503, true, "A queue, memory or store has no room for the job."],
  starting: [503, true, "The server takes back what it has stored: ask again in a moment."],
  draining: [503, true, "The server stops: ask again, or another one."],
} as const satisfies Record<string, readonly [status: number, retryable: boolean, meaning: string]>;

export type ProblemName = keyof typeof PROBLEMS;

/** Members beside those that every problem has. */
export interface ProblemDetails {
  readonly handle?: string | undefined;
  readonly unique?: string | undefined;
  /** What the worker said, where the job ended by an exception. */
  readonly exception?: string | undefined;
  readonly encoding?: "base64" | undefined;
  /** Seconds after which a new try makes sense. */
  readonly retryAfter?: number | undefined;
}

/** An answer other than success. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly problem: ProblemName;
  readonly details: ProblemDetails;

  constructor(problem: ProblemName, detail: string, details: ProblemDetails = {}) {
    super(detail);
    this.problem = problem;
    this.details = details;
  }

  get status(): number {
    return PROBLEMS[this.problem][0];
  }
}

export function sendProblem(reply: FastifyReply, problem: Problem): void {
  const [status, retryable] = PROBLEMS[problem.problem];
  const { retryAfter, ...details } = problem.details;
  if (retryAfter !== undefined) reply.header("retry-after", String(retryAfter));
  if (status === 401) reply.header("www-authenticate", 'Bearer realm="drover"');
  reply
    .code(status)
    .header("content-type", "application/problem+json")
    .header("cache-control", "no-store")
    .send(
      JSON.stringify({
        type: TYPE + problem.problem,
        title: problem.problem.replaceAll("-", " "),
        status,
        detail: problem.message,
        retryable,
        ...details,
      }),
    );
}
