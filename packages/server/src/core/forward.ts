import { encodeOptions } from "@drover/protocol";
import type { Member } from "./fleet-member.ts";
import type { JobFunction } from "./function.ts";
import type { Owed } from "./held-replies.ts";
import { type Job, PRIORITY_NAMES } from "./job.ts";
import type { SubmissionRequest } from "./submissions.ts";

/** A submission on its way to another member, or there. */
export class Forward {
  readonly fn: JobFunction;
  /** As on the wire. */
  readonly unique: string;
  /** The owner first. */
  readonly ranked: readonly Member[];
  options = "";
  /** Of a background submission; a foreground one's job has it. */
  workload: Uint8Array = new Uint8Array(0);
  /** What stands for it here; null for a background submission. */
  job: Job | null = null;
  /** What its connection is owed; null for a foreground submission, which is answered at once. */
  answer: Owed | null = null;
  /** Number of the handle that a background submission is given. */
  number = -1;
  /** Of the attempt under way. */
  id = 0;
  /** Where it is; null while it waits. */
  at: Member | null = null;
  /** Who is to run it when those who are asked do not have it. */
  target!: Member;
  /** It joins or is refused (`joinOnly`). */
  asks = false;
  /** Who has been asked. */
  readonly asked = new Set<Member>();
  /** Who is asked first, since the key's job is there as far as this server knows. */
  first: Member | null = null;
  /** Some member has to say its first word before. */
  waits = false;
  /** At its server; empty while it has none. */
  handle = "";
  reroutes = 0;

  constructor(fn: JobFunction, unique: string, ranked: readonly Member[]) {
    this.fn = fn;
    this.unique = unique;
    this.ranked = ranked;
  }
}

/** Options of the `SUBMIT_JOB_EXT` that forwards a submission. Its deadline is kept here: that of others is another. */
export function optionsOf(request: SubmissionRequest): string {
  const { background, priority, dueMs, keep, lingerMs, rerunIfActive, reducer, traceparent, tracestate } =
    request;
  return encodeOptions({
    forwarded: "1",
    background: background ? "1" : undefined,
    priority: priority === 1 ? undefined : PRIORITY_NAMES[priority],
    at: dueMs === 0 ? undefined : String(Math.ceil(dueMs)),
    keep: keep ? "1" : undefined,
    linger: lingerMs === undefined ? undefined : String(lingerMs),
    rerunIfActive: rerunIfActive ? "1" : undefined,
    reducer: reducer === "" ? undefined : reducer,
    traceparent: traceparent === "" ? undefined : traceparent,
    tracestate: tracestate === "" ? undefined : tracestate,
  });
}
