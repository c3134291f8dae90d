import {
  bytesOf,
  copyBytes,
  encodeOptions,
  encodePacket,
  HEADER_BYTES,
  PAGE_BYTES,
  PacketType,
  RES,
  type SharedPages,
  SMALL_PAGE_BYTES,
  type WireErrorCode,
  writeByteString,
  writeHeader,
} from "@drover/protocol";
import { HeldReplies, type Owed } from "./held-replies.ts";
import type { Job, Submission } from "./job.ts";
import type { Ack } from "./journal.ts";
import { type Outbox, SHARE_BYTES } from "./outbox.ts";
import type { EndKind, Peer } from "./peer.ts";
import type { ServerState } from "./state.ts";
import { shownUnique } from "./uniques.ts";

/*
 * Packets to a connection, written straight into its outbox. All bytes for a peer pass through here.
 * A connection that is gone or closing gets nothing more.
 */

/** Marks the connection as having something to send or to close. */
export function markDirty(state: ServerState, peer: Peer): void {
  if (peer.dirty) return;
  peer.dirty = true;
  state.dirty.push(peer);
}

/** Closes the connection once what it was sent so far has left. */
export function closePeer(state: ServerState, peer: Peer, reason: string, kind: EndKind = "malformed"): void {
  if (peer.gone || peer.closing !== null) return;
  peer.closing = reason;
  peer.endKind = kind;
  markDirty(state, peer);
}

/** Where a reply goes: behind those that wait for the store. */
function replyBox(peer: Peer): Outbox {
  return peer.held === null ? peer.out : peer.held.tail;
}

/** Where a report to a submission goes: it overtakes what waits for the store, but never its own acknowledgement. */
function reportBox({ peer, heldSerial }: Submission): Outbox {
  return peer.held !== null && heldSerial === peer.heldSerial ? peer.held.tail : peer.out;
}

/** Writes the header of a packet that fits into a page, and returns where in `out.page` its body begins. */
function begin(out: Outbox, type: number, bodyBytes: number): number {
  const offset = out.reserve(HEADER_BYTES + bodyBytes);
  return writeHeader(out.page, offset, RES, type, bodyBytes);
}

/** Sends a packet of the given byte string arguments, for what is not on the hot path. */
export function sendPacket(
  state: ServerState,
  peer: Peer,
  type: number,
  args: readonly string[],
  data?: Uint8Array,
): void {
  sendBytes(state, peer, encodePacket(RES, type, args, data));
}

/** Sends bytes that are encoded already; large ones are shared, so they must not change any more. */
export function sendBytes(state: ServerState, peer: Peer, bytes: Uint8Array): void {
  if (peer.gone || peer.closing !== null) return;
  markDirty(state, peer);
  replyBox(peer).share(bytes);
}

/** Sends a submission a report that is encoded already. */
export function sendToSubmission(state: ServerState, submission: Submission, bytes: Uint8Array): void {
  const { peer } = submission;
  if (peer.gone || peer.closing !== null) return;
  markDirty(state, peer);
  reportBox(submission).share(bytes);
}

/** Sends an answer of the admin text protocol. */
export function sendText(state: ServerState, peer: Peer, text: string): void {
  sendBytes(state, peer, bytesOf(text));
}

export function sendError(state: ServerState, peer: Peer, code: WireErrorCode, text: string): void {
  sendPacket(state, peer, PacketType.ERROR, [code, text]);
}

/** A packet without a body: `NOOP`, `NO_JOB`. */
export function sendEmpty(state: ServerState, peer: Peer, type: number): void {
  if (peer.gone || peer.closing !== null) return;
  markDirty(state, peer);
  begin(replyBox(peer), type, 0);
}

export function sendJobCreated(state: ServerState, peer: Peer, number: number): void {
  if (peer.gone || peer.closing !== null) return;
  markDirty(state, peer);
  const out = replyBox(peer);
  const at = begin(out, PacketType.JOB_CREATED, state.handles.measure(number));
  state.handles.write(number, out.page, at);
}

/** A background submission is answered when the store has its job, or cannot have it; replies behind it wait. */
export function sendWhenStored(state: ServerState, ack: Ack | Owed): void {
  const { peer } = ack;
  if (peer.held === null) {
    peer.held = new HeldReplies(state.pages);
    peer.heldSerial++;
  }
  peer.held.add(ack);
}

/** Sends what need not wait for the store any more. */
export function releaseReplies(state: ServerState, peer: Peer): void {
  const { held, out } = peer;
  if (held === null || peer.gone || peer.closing !== null) return;
  markDirty(state, peer);
  held.release(out, (ack) => {
    if ("packet" in ack) {
      out.share(ack.packet!);
      return;
    }
    const { job, stored } = ack;
    if (stored === true) {
      const { number } = job;
      const at = begin(out, PacketType.JOB_CREATED, state.handles.measure(number));
      state.handles.write(number, out.page, at);
    } else {
      const code: WireErrorCode = "QUEUE_ERROR";
      out.share(encodePacket(RES, PacketType.ERROR, [code, "The job could not be stored"]));
    }
  });
  if (held.isEmpty) peer.held = null;
}

/** `ECHO_RES`: a packet whose body is the one of the packet just read. */
export function forwardBody(
  state: ServerState,
  peer: Peer,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null = null,
): void {
  if (peer.gone || peer.closing !== null) return;
  markDirty(state, peer);
  forward(replyBox(peer), type, bytes, start, end, pages);
}

/** A worker's report as it came, to the one submission there is. */
export function forwardReport(
  state: ServerState,
  submission: Submission,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null,
): void {
  const { peer } = submission;
  if (peer.gone || peer.closing !== null) return;
  markDirty(state, peer);
  forward(reportBox(submission), type, bytes, start, end, pages);
}

function forward(
  out: Outbox,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null,
): void {
  const size = end - start;
  if (size < SMALL_PAGE_BYTES / 2) {
    const at = begin(out, type, size);
    copyBytes(bytes, start, end, out.page, at);
    return;
  }
  const copied = pages === null && size <= PAGE_BYTES / 2;
  const at = out.reserve(HEADER_BYTES, copied ? size : 0);
  writeHeader(out.page, at, RES, type, size);
  if (pages === null) out.append(bytes, start, end);
  else out.hold(pages, start, end);
}

/** A packet of `type` with the body given, as an array of its own that many connections can share. */
export function encodeReport(
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null = null,
): Uint8Array {
  const size = end - start;
  const packet = new Uint8Array(HEADER_BYTES + size);
  let at = writeHeader(packet, 0, RES, type, size);
  if (pages === null) copyBytes(bytes, start, end, packet, at);
  else for (const view of pages.views(start, end)) at = copyBytes(view, 0, view.length, packet, at);
  return packet;
}

/** `WORK_FAIL`, `NOOP`-sized reports made by the server: the handle alone. */
export function encodeHandleReport(state: ServerState, type: number, number: number): Uint8Array {
  const size = state.handles.measure(number);
  const packet = new Uint8Array(HEADER_BYTES + size);
  state.handles.write(number, packet, writeHeader(packet, 0, RES, type, size));
  return packet;
}

/** Why a job, or one submission of it, failed by something else than its worker's report. */
export type FailReason = "timed out" | "worker lost" | "cancelled" | "deadline";

/** `WORK_FAIL` made by the server. The wire has no room for a reason; requests over HTTP get it behind the handle. */
export interface Failure {
  readonly plain: Uint8Array;
  readonly reasoned: Uint8Array;
}

export function encodeFailure(state: ServerState, number: number, reason: FailReason): Failure {
  const plain = encodeHandleReport(state, PacketType.WORK_FAIL, number);
  const body = bytesOf(`${state.handles.text(number)}\0${reason}`);
  return { plain, reasoned: encodeReport(PacketType.WORK_FAIL, body, 0, body.length) };
}

/** The form of a failure that a connection is to get. */
export function failureFor(peer: Peer, { plain, reasoned }: Failure): Uint8Array {
  return peer.wantsReasons ? reasoned : plain;
}

/** `WORK_STATUS` of a run's newest status. */
export function encodeStatus(state: ServerState, job: Job): Uint8Array {
  const { numerator, denominator } = job.run!;
  return encodePacket(RES, PacketType.WORK_STATUS, [
    state.handles.text(job.number),
    numerator ?? "0",
    denominator ?? "0",
  ]);
}

/** Which of the `JOB_ASSIGN` packets a worker asked for. */
export type AssignForm = "plain" | "unique" | "all";

/** Hands a job to a worker: `JOB_ASSIGN`, `JOB_ASSIGN_UNIQ`, `JOB_ASSIGN_ALL` or drover.1's `JOB_ASSIGN_EXT`. */
export function sendAssign(state: ServerState, peer: Peer, job: Job, form: AssignForm): void {
  const reducer = job.rare === null ? "" : job.rare.reducer;
  let type: number = PacketType.JOB_ASSIGN;
  let third = "";
  if (form === "all" && peer.speaksDrover) {
    type = PacketType.JOB_ASSIGN_EXT;
    third = assignOptions(job, reducer);
  } else if (form === "all" && reducer !== "") {
    type = PacketType.JOB_ASSIGN_ALL;
    third = reducer;
  } else if (form !== "plain") {
    type = PacketType.JOB_ASSIGN_UNIQ;
  }
  const unique = form === "plain" ? "" : shownUnique(job.key);
  const hasThird = type === PacketType.JOB_ASSIGN_EXT || type === PacketType.JOB_ASSIGN_ALL;
  const { name } = job.fn;
  let head = state.handles.measure(job.number) + 1 + name.length + 1;
  if (form !== "plain") head += unique.length + 1;
  if (hasThird) head += third.length + 1;
  const workload = job.workloadBytes;
  const copied = workload < SHARE_BYTES && job.end <= PAGE_BYTES;
  markDirty(state, peer);
  const out = replyBox(peer);
  let at = out.reserve(HEADER_BYTES + head, copied ? workload : 0);
  const { page } = out;
  at = state.handles.write(job.number, page, writeHeader(page, at, RES, type, head + workload));
  page[at++] = 0;
  at = writeByteString(page, at, name);
  page[at++] = 0;
  if (form !== "plain") {
    at = writeByteString(page, at, unique);
    page[at++] = 0;
  }
  if (hasThird) {
    at = writeByteString(page, at, third);
    page[at++] = 0;
  }
  if (copied) out.append(job.workload.first, job.start, job.end);
  else out.hold(job.workload, job.start, job.end);
}

/** Options of `JOB_ASSIGN_EXT`. @see docs/PROTOCOL.md#drover1 */
function assignOptions(job: Job, reducer: string): string {
  return encodeOptions({
    attempt: String(job.attempts),
    reducer: reducer === "" ? undefined : reducer,
    traceparent: job.rare?.traceparent || undefined,
    tracestate: job.rare?.tracestate || undefined,
    links: job.rare?.links?.join(","),
  });
}
