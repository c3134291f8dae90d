import {
  byteString,
  indexOfNul,
  PacketType,
  packetDefinition,
  type SharedPages,
  textOfByteString,
} from "@drover/protocol";
import {
  admitSubmission,
  authenticate,
  forbid,
  mayBePeer,
  maySubmit,
  mayWork,
  PEER_OPTION,
} from "./access.ts";
import { attachByHandle, detach, getOutcome, readSubmissionOptions, stateName } from "./extensions.ts";
import { asksStatus, asksUnique } from "./fleet-questions.ts";
import type { JobFunction } from "./function.ts";
import { nextInstant } from "./instant.ts";
import { type Job, Priority } from "./job.ts";
import type { Peer } from "./peer.ts";
import { closePeer, forwardBody, sendError, sendPacket } from "./replies.ts";
import { reportComplete, reportData, reportException, reportFail, reportStatus } from "./runs.ts";
import type { ServerState } from "./state.ts";
import { SubmissionRequest, submit } from "./submissions.ts";
import { reportTrace } from "./traces.ts";
import { canDo, cantDo, grab, preSleep, resetAbilities, timeoutMs } from "./workers.ts";

/* One packet from a peer: parse it, call one action. @see docs/PROTOCOL.md#packets */

/** Whether a packet's first page says all that is looked at, so that the rest may be on others. */
export function takesPages(type: number, firstPage: Uint8Array, start: number): boolean {
  const end = firstPage.length;
  switch (type) {
    case PacketType.ECHO_REQ:
      return true;
    case PacketType.WORK_COMPLETE:
    case PacketType.WORK_DATA:
    case PacketType.WORK_WARNING:
      return indexOfNul(firstPage, start, end) >= 0;
    case PacketType.SUBMIT_JOB:
    case PacketType.SUBMIT_JOB_BG:
    case PacketType.SUBMIT_JOB_HIGH:
    case PacketType.SUBMIT_JOB_HIGH_BG:
    case PacketType.SUBMIT_JOB_LOW:
    case PacketType.SUBMIT_JOB_LOW_BG: {
      const nameEnd = indexOfNul(firstPage, start, end);
      return nameEnd >= 0 && indexOfNul(firstPage, nameEnd + 1, end) >= 0;
    }
    default:
      return false;
  }
}

/** Handles the packet whose body is `bytes[start, end)`, or those places in `pages` where `takesPages` allows that. */
export function receivePacket(
  state: ServerState,
  peer: Peer,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null,
): void {
  switch (type) {
    case PacketType.GRAB_JOB:
      grab(state, peer, "plain");
      return;
    case PacketType.GRAB_JOB_UNIQ:
      grab(state, peer, "unique");
      return;
    case PacketType.GRAB_JOB_ALL:
      grab(state, peer, "all");
      return;
    case PacketType.PRE_SLEEP:
      preSleep(state, peer);
      return;
    case PacketType.SUBMIT_JOB:
      submitPlain(state, peer, type, Priority.NORMAL, false, bytes, start, end, pages);
      return;
    case PacketType.SUBMIT_JOB_BG:
      submitPlain(state, peer, type, Priority.NORMAL, true, bytes, start, end, pages);
      return;
    case PacketType.SUBMIT_JOB_HIGH:
      submitPlain(state, peer, type, Priority.HIGH, false, bytes, start, end, pages);
      return;
    case PacketType.SUBMIT_JOB_HIGH_BG:
      submitPlain(state, peer, type, Priority.HIGH, true, bytes, start, end, pages);
      return;
    case PacketType.SUBMIT_JOB_LOW:
      submitPlain(state, peer, type, Priority.LOW, false, bytes, start, end, pages);
      return;
    case PacketType.SUBMIT_JOB_LOW_BG:
      submitPlain(state, peer, type, Priority.LOW, true, bytes, start, end, pages);
      return;
    case PacketType.WORK_COMPLETE:
      reportComplete(state, peer, bytes, start, end, pages);
      return;
    case PacketType.WORK_STATUS:
      if (!reportStatus(state, peer, bytes, start, end)) malformed(state, peer, type);
      return;
    case PacketType.WORK_DATA:
    case PacketType.WORK_WARNING:
      reportData(state, peer, type, bytes, start, end, pages);
      return;
    case PacketType.WORK_FAIL:
      reportFail(state, peer, bytes, start, end);
      return;
    case PacketType.WORK_EXCEPTION:
      reportException(state, peer, bytes, start, end);
      return;
    case PacketType.ECHO_REQ:
      forwardBody(state, peer, PacketType.ECHO_RES, bytes, start, end, pages);
      return;
    default:
      receiveRare(state, peer, type, bytes, start, end);
  }
}

function receiveRare(
  state: ServerState,
  peer: Peer,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  switch (type) {
    case PacketType.CAN_DO:
      registerAbility(state, peer, lastArgument(bytes, start, end), 0);
      return;
    case PacketType.CAN_DO_TIMEOUT: {
      const nul = indexOfNul(bytes, start, end);
      const name = lastArgument(bytes, start, end);
      const timeout = nul < 0 ? "" : lastArgument(bytes, nul + 1, end);
      registerAbility(state, peer, name, timeoutMs(timeout, state.options.timeoutUnit));
      return;
    }
    case PacketType.CANT_DO:
      cantDo(state, peer, lastArgument(bytes, start, end));
      return;
    case PacketType.RESET_ABILITIES:
      resetAbilities(state, peer);
      return;
    case PacketType.SET_CLIENT_ID:
      peer.clientId = lastArgument(bytes, start, end).slice(0, state.limits.maxClientIdBytes);
      return;
    case PacketType.GET_STATUS:
      getStatus(state, peer, bytes, start, end);
      return;
    case PacketType.GET_STATUS_UNIQUE:
      getStatusUnique(state, peer, lastArgument(bytes, start, end));
      return;
    case PacketType.OPTION_REQ:
      setOption(state, peer, bytes, start, end);
      return;
    case PacketType.SUBMIT_JOB_EPOCH:
      submitEpoch(state, peer, bytes, start, end);
      return;
    case PacketType.SUBMIT_JOB_SCHED:
      submitSched(state, peer, bytes, start, end);
      return;
    case PacketType.SUBMIT_REDUCE_JOB:
    case PacketType.SUBMIT_REDUCE_JOB_BACKGROUND:
      submitReduce(state, peer, type === PacketType.SUBMIT_REDUCE_JOB_BACKGROUND, bytes, start, end);
      return;
    default:
      receiveExtension(state, peer, type, bytes, start, end);
  }
}

function receiveExtension(
  state: ServerState,
  peer: Peer,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const definition = packetDefinition(type);
  const known = definition !== undefined && (definition.extension !== true || peer.speaksDrover);
  if (known && type === PacketType.WORK_TRACE) {
    if (!splitArguments(bytes, start, end, 2)) malformed(state, peer, type);
    else reportTrace(state, peer, bytes, start, end, args[1]!);
    return;
  }
  if (known && definition.extension === true && definition.senders.includes("client")) {
    if (type === PacketType.SUBMIT_JOB_EXT) submitExtended(state, peer, bytes, start, end);
    else if (type === PacketType.DETACH) detach(state, peer, bytes, start, end);
    else if (type === PacketType.ATTACH) attachByHandle(state, peer, bytes, start, end);
    else if (splitArguments(bytes, start, end, 2)) getOutcome(state, peer, args[0]!, args[1]!);
    else malformed(state, peer, type);
    return;
  }
  sendError(state, peer, "INVALID_COMMAND", "Command not expected");
  if (!known) {
    state.note({ code: "PROTOCOL_VIOLATION", peer, detail: `packet type ${type}` });
    closePeer(state, peer, "unknown packet type");
  }
}

/** The one request object: submissions are handled one at a time, and nothing keeps it. */
const request = new SubmissionRequest();

function submitPlain(
  state: ServerState,
  peer: Peer,
  type: number,
  priority: Priority,
  background: boolean,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null,
): void {
  const nameEnd = indexOfNul(bytes, start, end);
  const uniqueEnd = nameEnd < 0 ? -1 : indexOfNul(bytes, nameEnd + 1, end);
  if (uniqueEnd < 0) {
    malformed(state, peer, type);
    return;
  }
  if (!admitSubmission(state, peer)) return;
  request.reset();
  request.priority = priority;
  request.background = background;
  if (!takeTarget(state, peer, bytes, start, nameEnd, uniqueEnd)) return;
  takeWorkload(bytes, uniqueEnd + 1, end);
  request.pages = pages;
  submit(state, peer, request);
}

/** Arguments of the packet at hand, filled by `splitArguments`. */
const args: string[] = [];
/** Where the opaque field begins behind them. */
let dataStart = 0;

/** Reads `count` arguments that each end with a NUL (the last may lack it). @returns false when some are missing. */
function splitArguments(bytes: Uint8Array, start: number, end: number, count: number): boolean {
  args.length = 0;
  let at = start;
  for (let i = 0; i < count; i++) {
    if (at > end) return false;
    const nul = indexOfNul(bytes, at, end);
    if (nul < 0 && i < count - 1) return false;
    const stop = nul < 0 ? end : nul;
    args.push(byteString(bytes, at, stop));
    at = stop + 1;
  }
  dataStart = Math.min(at, end);
  return true;
}

/** Like `splitArguments` for packets with an opaque field, where every argument must have its NUL. */
function splitBeforeData(bytes: Uint8Array, start: number, end: number, count: number): boolean {
  return splitArguments(bytes, start, end, count) && bytes[dataStart - 1] === 0 && dataStart > start;
}

function submitEpoch(state: ServerState, peer: Peer, bytes: Uint8Array, start: number, end: number): void {
  if (!splitBeforeData(bytes, start, end, 3)) {
    malformed(state, peer, PacketType.SUBMIT_JOB_EPOCH);
    return;
  }
  const digits = /^\s*[+-]?\d+/.exec(args[2]!)?.[0] ?? "0";
  const value = BigInt(digits.trim().replace("+", ""));
  if (BigInt.asIntN(64, value) !== value) {
    sendError(state, peer, "INVALID_ARGUMENT", "Epoch is out of range");
    return;
  }
  request.reset();
  request.background = true;
  const dueMs = Number(value) * 1000;
  request.dueMs = dueMs > state.wallMs ? dueMs : 0;
  submitSplit(state, peer, bytes, end);
}

function submitSched(state: ServerState, peer: Peer, bytes: Uint8Array, start: number, end: number): void {
  if (!splitBeforeData(bytes, start, end, 7)) {
    malformed(state, peer, PacketType.SUBMIT_JOB_SCHED);
    return;
  }
  const dueMs = nextInstant(args.slice(2, 7), state.wallMs);
  if (dueMs === null) {
    sendError(state, peer, "INVALID_ARGUMENT", "No such time ever comes");
    return;
  }
  request.reset();
  request.background = true;
  request.dueMs = dueMs;
  submitSplit(state, peer, bytes, end);
}

function submitReduce(
  state: ServerState,
  peer: Peer,
  background: boolean,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (!splitBeforeData(bytes, start, end, 4)) {
    malformed(state, peer, PacketType.SUBMIT_REDUCE_JOB);
    return;
  }
  if (args[2]!.length > state.limits.maxFunctionBytes) {
    sendError(state, peer, "ARGUMENT_TOO_LARGE", "Reducer name too large");
    return;
  }
  request.reset();
  request.background = background;
  request.reducer = args[2]!;
  submitSplit(state, peer, bytes, end);
}

function submitExtended(state: ServerState, peer: Peer, bytes: Uint8Array, start: number, end: number): void {
  if (!splitBeforeData(bytes, start, end, 3)) {
    malformed(state, peer, PacketType.SUBMIT_JOB_EXT);
    return;
  }
  request.reset();
  const refusal = readSubmissionOptions(request, args[2]!, state.wallMs);
  if (refusal !== null) {
    sendError(state, peer, "INVALID_ARGUMENT", refusal);
    return;
  }
  if ((request.forwarded || request.joinOnly !== "") && peer.fleetName === "") {
    forbid(state, peer, "peer", "");
    return;
  }
  // Asked of a server without a fleet: it holds nothing for others.
  if (request.joinOnly !== "" && state.fleet === null) {
    sendError(state, peer, "NOTHING_HELD", "No job is held in that server's place");
    return;
  }
  if (request.traceparent !== "") peer.traces = true;
  submitSplit(state, peer, bytes, end);
}

/** Submits what `splitBeforeData` read: function and unique are the first two arguments. */
function submitSplit(state: ServerState, peer: Peer, bytes: Uint8Array, end: number): void {
  if (!admitSubmission(state, peer)) return;
  // Whoever reduces does so by a submission of its own: nobody may have one made that he may not make himself.
  if (request.reducer !== "" && !maySubmit(state, peer.identity, request.reducer)) {
    forbid(state, peer, "submit", request.reducer);
    return;
  }
  const fn = checkedFunction(state, peer, args[0]!);
  if (fn === null || !checkUnique(state, peer, args[1]!.length)) return;
  request.fn = fn;
  request.unique = args[1]!;
  takeWorkload(bytes, dataStart, end);
  submit(state, peer, request);
}

function takeWorkload(bytes: Uint8Array, start: number, end: number): void {
  request.bytes = bytes;
  request.start = start;
  request.end = end;
}

/** Reads function and unique of a submission into the request. @returns false when it was refused. */
function takeTarget(
  state: ServerState,
  peer: Peer,
  bytes: Uint8Array,
  start: number,
  nameEnd: number,
  uniqueEnd: number,
): boolean {
  const last = peer.lastFunction;
  if (last !== null && !last.forgotten && equalsByteString(last.name, bytes, start, nameEnd)) {
    request.fn = last;
  } else {
    const fn = checkedFunction(state, peer, byteString(bytes, start, nameEnd));
    if (fn === null) return false;
    request.fn = fn;
    peer.lastFunction = fn;
  }
  if (!checkUnique(state, peer, uniqueEnd - nameEnd - 1)) return false;
  request.unique = byteString(bytes, nameEnd + 1, uniqueEnd);
  return true;
}

function equalsByteString(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}

function checkedFunction(state: ServerState, peer: Peer, name: string): JobFunction | null {
  if (name.length > state.limits.maxFunctionBytes) {
    sendError(state, peer, "ARGUMENT_TOO_LARGE", "Function name too large");
    return null;
  }
  if (!maySubmit(state, peer.identity, name)) {
    forbid(state, peer, "submit", name);
    return null;
  }
  const fn = state.functionOf(name);
  if (fn !== null) return fn;
  state.counts.refused++;
  state.note({ code: "LIMIT_REACHED", peer, limit: "maxFunctions", fn: name });
  sendError(state, peer, "QUEUE_ERROR", "Too many functions");
  return null;
}

function checkUnique(state: ServerState, peer: Peer, length: number): boolean {
  if (length <= state.limits.maxUniqueBytes) return true;
  sendError(state, peer, "ARGUMENT_TOO_LARGE", "Unique value too large");
  return false;
}

/** Registrations have no reply, so a refusal is told by an `ERROR` and the end of the connection. */
function registerAbility(state: ServerState, peer: Peer, name: string, timeout: number): void {
  if (name.length > state.limits.maxFunctionBytes) {
    sendError(state, peer, "ARGUMENT_TOO_LARGE", "Function name too large");
    closePeer(state, peer, "function name too large");
    return;
  }
  if (!mayWork(state, peer.identity, name)) {
    forbid(state, peer, "work", name);
    closePeer(state, peer, "function not allowed", "forbidden");
    return;
  }
  const limit = canDo(state, peer, name, timeout);
  if (limit === null) return;
  state.counts.refused++;
  state.note({ code: "LIMIT_REACHED", peer, limit, fn: name });
  sendError(state, peer, "QUEUE_ERROR", "Too many functions");
  closePeer(state, peer, "too many functions", "limited");
}

/** The bytes up to the first NUL or the end: one argument that may or may not be terminated. */
function lastArgument(bytes: Uint8Array, start: number, end: number): string {
  const nul = indexOfNul(bytes, start, end);
  return byteString(bytes, start, nul < 0 ? end : nul);
}

function getStatus(state: ServerState, peer: Peer, bytes: Uint8Array, start: number, end: number): void {
  const nul = indexOfNul(bytes, start, end);
  const stop = nul < 0 ? end : nul;
  const number = state.handles.parse(bytes, start, stop);
  const job = state.jobs.get(number);
  const handle = byteString(bytes, start, stop);
  if (job !== undefined && !peer.identity.mayLookAt(job.fn.name)) {
    forbid(state, peer, "status", "");
    return;
  }
  const { fleet } = state;
  if (
    fleet !== null &&
    (job === undefined || fleet.relays(job)) &&
    asksStatus(fleet, peer, handle, number, job)
  )
    return;
  if (job === undefined) {
    sendPacket(state, peer, PacketType.STATUS_RES, [handle, "0", "0", "0", "0"]);
    return;
  }
  sendPacket(state, peer, PacketType.STATUS_RES, [
    handle,
    "1",
    stateName(job) === "running" ? "1" : "0",
    statusNumber(job.run?.numerator),
    statusNumber(job.run?.denominator),
  ]);
}

function getStatusUnique(state: ServerState, peer: Peer, unique: string): void {
  const isAskable = unique !== "" && unique !== "-";
  let job = isAskable ? firstOfUnique(state, peer, unique) : undefined;
  if (job === null) {
    forbid(state, peer, "status", "");
    return;
  }
  const { fleet } = state;
  if (fleet !== null && isAskable && (job === undefined || fleet.relays(job))) {
    if (asksUnique(fleet, peer, unique, job)) return;
    // Whoever asks for the fleet asks the server that has it, too.
    if (peer.fleetName !== "") job = undefined;
  }
  if (job === undefined) {
    sendPacket(state, peer, PacketType.STATUS_RES_UNIQUE, [unique, "0", "0", "0", "0", "0"]);
    return;
  }
  sendPacket(state, peer, PacketType.STATUS_RES_UNIQUE, [
    unique,
    "1",
    stateName(job) === "running" ? "1" : "0",
    statusNumber(job.run?.numerator),
    statusNumber(job.run?.denominator),
    String(job.submissionCount),
  ]);
}

/** The first job of a unique that the connection may look at; null when there are only others. */
function firstOfUnique(state: ServerState, peer: Peer, unique: string): Job | null | undefined {
  const { identity } = peer;
  if (identity.mayLookAtAll) return state.uniques.first(unique);
  let found: Job | null | undefined;
  for (const job of state.uniques.all(unique)) {
    if (identity.mayLookAt(job.fn.name)) return job;
    found = null;
  }
  return found;
}

/** A status as gearmand keeps it: an unsigned 32-bit number, 0 for what is no number. */
export function statusNumber(text: string | null | undefined): string {
  const value = Number.parseInt(text ?? "0", 10);
  return Number.isNaN(value) ? "0" : String(value >>> 0);
}

function setOption(state: ServerState, peer: Peer, bytes: Uint8Array, start: number, end: number): void {
  const option = lastArgument(bytes, start, end);
  if (authenticate(state, peer, option)) return;
  if (option.startsWith(PEER_OPTION)) {
    if (!mayBePeer(state, peer)) {
      forbid(state, peer, "peer", "");
      return;
    }
    peer.fleetName = option.slice(PEER_OPTION.length);
    forwardBody(state, peer, PacketType.OPTION_RES, bytes, start, end);
    return;
  }
  const name = option.toLowerCase();
  if (name === "exceptions") peer.wantsExceptions = true;
  else if (name === "drover.1") peer.speaksDrover = true;
  else {
    sendError(state, peer, "UNKNOWN_OPTION", "Server does not recognize given option");
    return;
  }
  forwardBody(state, peer, PacketType.OPTION_RES, bytes, start, end);
}

/** A packet without its arguments: there is no telling what it meant, so it is answered and the connection ends. */
function malformed(state: ServerState, peer: Peer, type: number): void {
  const name = packetDefinition(type)?.name ?? "packet";
  state.note({ code: "PROTOCOL_VIOLATION", peer, detail: `${name} without its arguments` });
  sendError(state, peer, "INVALID_ARGUMENT", textOfByteString(`${name} lacks an argument`));
  closePeer(state, peer, "malformed packet");
}
