import {
  decodeOptions,
  encodePacket,
  indexOfNul,
  isTraceparent,
  isTracestate,
  PacketType,
  printable,
  RES,
} from "@drover/protocol";
import { forbid } from "./access.ts";
import { asksOutcome } from "./fleet-questions.ts";
import { type Job, JobState, Priority } from "./job.ts";
import { leaveJob } from "./jobs.ts";
import type { Peer } from "./peer.ts";
import { sendBytes, sendError } from "./replies.ts";
import type { ServerState } from "./state.ts";
import { attach, type SubmissionRequest } from "./submissions.ts";

/* What peers can ask for after `OPTION_REQ drover.1`. @see docs/PROTOCOL.md#drover1 */

const PRIORITIES: Readonly<Record<string, Priority>> = {
  high: Priority.HIGH,
  normal: Priority.NORMAL,
  low: Priority.LOW,
};

/** Longest time an option may name: a year. */
const MAX_MS = 366 * 86_400_000;

/**
 * Reads the options of `SUBMIT_JOB_EXT` into the request.
 * @returns What is wrong with them, or null. Unknown keys are wrong: a silently ignored wish is worse.
 */
export function readSubmissionOptions(
  request: SubmissionRequest,
  options: string,
  wallMs: number,
): string | null {
  let pairs: Map<string, string>;
  try {
    pairs = decodeOptions(options);
  } catch {
    return "Bad option encoding";
  }
  for (const [key, value] of pairs) {
    if (!readOption(request, key, value, wallMs)) return `Bad option ${printable(key, 32)}`;
  }
  return null;
}

function readOption(request: SubmissionRequest, key: string, value: string, wallMs: number): boolean {
  switch (key) {
    case "background":
      request.background = value === "1";
      return value === "1" || value === "0";
    case "keep":
      request.keep = value === "1";
      return value === "1" || value === "0";
    case "rerunIfActive":
      request.rerunIfActive = value === "1";
      return value === "1" || value === "0";
    case "joinOnly":
      request.joinOnly = value;
      return value !== "" && value.length <= 64;
    case "forwarded":
      request.forwarded = value === "1";
      return value === "1" || value === "0";
    case "priority": {
      const priority = PRIORITIES[value];
      if (priority === undefined) return false;
      request.priority = priority;
      return true;
    }
    case "at": {
      const at = Number(value);
      request.dueMs = at > wallMs ? at : 0;
      return /^\d{1,15}$/.test(value);
    }
    case "deadline":
      request.deadlineMs = Number(value);
      return /^\d{1,12}$/.test(value) && request.deadlineMs > 0 && request.deadlineMs <= MAX_MS;
    case "linger":
      request.lingerMs = Number(value);
      return /^\d{1,12}$/.test(value) && request.lingerMs <= MAX_MS;
    case "reducer":
      request.reducer = value;
      return value.length <= 512 && !value.includes("\0");
    case "traceparent":
      request.traceparent = value;
      return isTraceparent(value);
    case "tracestate":
      // As W3C's Trace Context wants it: one that is malformed must not spoil the rest.
      if (isTracestate(value)) request.tracestate = value;
      return true;
    default:
      return false;
  }
}

/** `DETACH`: every submission of the handle on this connection leaves. No answer; its reports stop. */
export function detach(state: ServerState, peer: Peer, bytes: Uint8Array, start: number, end: number): void {
  const nul = indexOfNul(bytes, start, end);
  const job = state.jobs.get(state.handles.parse(bytes, start, nul < 0 ? end : nul));
  if (job === undefined) return;
  for (let submission = job.submissions; submission !== null; ) {
    const next = submission.nextOfJob;
    if (submission.peer === peer) leaveJob(state, submission);
    submission = next;
  }
}

/** `ATTACH`: joins the job of a handle. */
export function attachByHandle(
  state: ServerState,
  peer: Peer,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const nul = indexOfNul(bytes, start, end);
  attach(state, peer, state.handles.parse(bytes, start, nul < 0 ? end : nul));
}

/**
 * `GET_OUTCOME`: state of a job by function and unique, or, with an empty unique, by the handle given as the
 * function. Unlike `GET_STATUS` it still knows how a background job ended.
 */
export function getOutcome(state: ServerState, peer: Peer, first: string, unique: string): void {
  if (unique === "-") {
    sendError(state, peer, "INVALID_ARGUMENT", "A unique of - cannot be asked for");
    return;
  }
  const byHandle = unique === "";
  const number = byHandle ? handleNumber(state, first) : -1;
  const fn = byHandle ? undefined : state.functions.get(first);
  const job = byHandle
    ? state.jobs.get(number)
    : fn === undefined
      ? undefined
      : state.uniques.get(fn, unique);
  if (job !== undefined && !peer.identity.mayLookAt(job.fn.name)) {
    forbid(state, peer, "status", "");
    return;
  }
  const { fleet } = state;
  if (job !== undefined && fleet?.relays(job) !== true) {
    sendBytes(state, peer, encodeJob(state, first, unique, job));
    return;
  }
  const outcome = byHandle
    ? state.outcomes.ofNumber(number, state.wallMs)
    : fn === undefined
      ? undefined
      : state.outcomes.ofUnique(fn, unique, state.wallMs);
  if (outcome !== undefined && !peer.identity.mayLookAt(outcome.fn.name)) {
    forbid(state, peer, "status", "");
    return;
  }
  const handle = outcome === undefined ? "" : state.handles.text(outcome.number);
  const ended = outcome === undefined ? "0" : String(outcome.endedMs);
  const name = outcome?.state ?? "unknown";
  const args = [first, unique, handle, name, "0", "0", "0", ended];
  // What is relayed is nothing to a member, which asks the one that has it, too.
  const local =
    job === undefined || peer.fleetName !== ""
      ? encodePacket(RES, PacketType.OUTCOME_RES, args)
      : encodeJob(state, first, unique, job);
  const isAsked = fleet !== null && asksOutcome(state, fleet, peer, first, unique, number, job, local);
  if (!isAsked) sendBytes(state, peer, local);
}

function handleNumber(state: ServerState, handle: string): number {
  const bytes = new Uint8Array(handle.length);
  for (let i = 0; i < handle.length; i++) bytes[i] = handle.charCodeAt(i);
  return state.handles.parse(bytes, 0, bytes.length);
}

const STATE_NAMES: Readonly<Record<JobState, string>> = {
  [JobState.QUEUED]: "queued",
  [JobState.RUNNING]: "running",
  [JobState.DELAYED]: "delayed",
  [JobState.WAITING]: "queued",
  [JobState.COMMITTING]: "queued",
  [JobState.CANCELLING]: "running",
  [JobState.ENDED]: "unknown",
};

/** Name of a job's state for peers and people. */
export function stateName(job: Job): string {
  if (job.state === JobState.RUNNING && job.run?.begun === false) return "queued";
  return STATE_NAMES[job.state];
}

function encodeJob(state: ServerState, first: string, unique: string, job: Job): Uint8Array {
  return encodePacket(RES, PacketType.OUTCOME_RES, [
    first,
    unique,
    state.handles.text(job.number),
    stateName(job),
    job.run?.numerator ?? "0",
    job.run?.denominator ?? "0",
    String(job.submissionCount),
    "0",
  ]);
}
