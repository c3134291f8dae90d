import type { FastifyReply } from "fastify";

/*
 * Errors as problem details (RFC 9457), the same for every request.
 */

/** A reference that the server itself answers, with what the problem means. */
const TYPE = "/v1/problems/";

/** Names of problems, with their status and whether the same request may succeed later. @see docs/PROTOCOL.md#problems */
export const PROBLEMS = {
  "bad-header": [400, false],
  "bad-function": [400, false],
  "bad-request": [400, false],
  unauthenticated: [401, false],
  forbidden: [403, false],
  "cross-site": [403, false],
  "host-not-allowed": [403, false],
  "not-found": [404, false],
  "unknown-job": [404, false],
  "method-not-allowed": [405, false],
  "not-acceptable": [406, false],
  "unique-conflict": [409, false],
  "already-running": [409, false],
  "state-lost": [410, true],
  "lease-lost": [410, false],
  "too-large": [413, false],
  "media-type": [415, false],
  "rate-limited": [429, true],
  "job-failed": [500, false],
  "job-exception": [500, false],
  internal: [500, true],
  "no-worker": [503, true],
  "queue-full": [503, true],
  draining: [503, true],
  starting: [503, true],
} as const satisfies Record<string, readonly [status: number, retryable: boolean]>;

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
