import { encodePacket, isTraceparent, type JobTrace, PacketType, RES } from "@drover/protocol";
import { type Job, JobState, rareFields } from "./job.ts";
import type { Peer } from "./peer.ts";
import { sendBytes, sendError } from "./replies.ts";
import { lateReport, runOf, sendReport } from "./runs.ts";
import type { ServerState } from "./state.ts";

/* What submissions and runs are told of each other, so that their traces can link. @see docs/PROTOCOL.md#drover1 */

/**
 * A submission with a trace joins a job: later runs are told of it, and it of the job. To be called when nothing but the
 * submission's acknowledgement will be its connection's next reply.
 */
export function traceJoin(state: ServerState, peer: Peer, traceparent: string, job: Job): void {
  // The same submission again, after its connection was lost.
  if (job.rare?.traceparent === traceparent) return;
  const rare = rareFields(job);
  const links = rare.links ?? [];
  if (links.length < state.limits.maxTraceLinks && !links.includes(traceparent)) {
    links.push(traceparent);
    rare.links = links;
  }
  sendBytes(state, peer, encodeTrace(state, job));
}

/** `WORK_TRACE`: to every submission whose connection traces. */
export function reportTrace(
  state: ServerState,
  worker: Peer,
  bytes: Uint8Array,
  start: number,
  end: number,
  traceparent: string,
): void {
  if (!isTraceparent(traceparent)) {
    sendError(state, worker, "INVALID_ARGUMENT", "Bad traceparent");
    return;
  }
  const run = runOf(state, worker, bytes, start, end);
  if (run === null) {
    lateReport(state, worker, PacketType.WORK_TRACE, bytes, start, end, false);
    return;
  }
  const { job } = run;
  if (job.state === JobState.CANCELLING) return;
  rareFields(job).runTrace = traceparent;
  let packet: Uint8Array | null = null;
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    if (!submission.peer.traces) continue;
    packet ??= encodeTrace(state, job);
    sendReport(state, submission, packet);
  }
}

/** `JOB_TRACE` of a job that runs on another server of the fleet, which has told where it stands. */
export function relayTrace(state: ServerState, job: Job, { first, run }: JobTrace): void {
  const rare = rareFields(job);
  rare.traceparent = first;
  rare.runTrace = run;
  const packet = encodeTrace(state, job);
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    if (submission.peer.traces) sendReport(state, submission, packet);
  }
}

function encodeTrace(state: ServerState, job: Job): Uint8Array {
  const { traceparent, runTrace } = rareFields(job);
  return encodePacket(RES, PacketType.JOB_TRACE, [state.handles.text(job.number), traceparent, runTrace]);
}
