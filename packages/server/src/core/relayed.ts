import { encodePacket, PacketType, RES } from "@drover/protocol";
import { remember, replayLimit } from "./history.ts";
import type { Job, Run } from "./job.ts";
import { encodeStatus } from "./replies.ts";
import { payStatuses, sendReport } from "./runs.ts";
import type { ServerState } from "./state.ts";

/* What another server reports of a job, passed on to those who wait for it here. */

/** `WORK_DATA` or `WORK_WARNING`. */
export function relayData(state: ServerState, job: Job, run: Run, type: number, chunk: Uint8Array): void {
  run.begun = true;
  payStatuses(state, job);
  const packet = encodePacket(RES, type, [state.handles.text(job.number)], chunk);
  if (job.keepsHistory && !run.outgrown && replayLimit(state, job) > 0) remember(state, run, packet);
  relayToAll(state, job, packet);
}

export function relayStatus(
  state: ServerState,
  job: Job,
  run: Run,
  numerator: string,
  denominator: string,
): void {
  run.begun = true;
  run.numerator = numerator;
  run.denominator = denominator;
  const packet = encodeStatus(state, job);
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    const { peer } = submission;
    if (peer.backlogBytes <= state.limits.pauseBytes) {
      submission.owesStatus = false;
      sendReport(state, submission, packet);
    } else if (!submission.owesStatus) {
      submission.owesStatus = true;
      peer.owing ??= [];
      peer.owing.push(submission);
    }
  }
}

/** The last report: `WORK_COMPLETE`, or `WORK_EXCEPTION` for those who asked for exceptions, else `WORK_FAIL`. */
export function relayEnd(state: ServerState, job: Job, type: number, data?: Uint8Array): void {
  payStatuses(state, job);
  const handle = state.handles.text(job.number);
  const packet = encodePacket(RES, type, [handle], data);
  const isException = type === PacketType.WORK_EXCEPTION;
  const plain = isException ? encodePacket(RES, PacketType.WORK_FAIL, [handle]) : packet;
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    const wants = submission.peer.wantsExceptions || state.options.exceptionsForAll;
    sendReport(state, submission, wants ? packet : plain);
  }
}

export function relayToAll(state: ServerState, job: Job, packet: Uint8Array): void {
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    sendReport(state, submission, packet);
  }
}
